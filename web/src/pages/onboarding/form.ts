import type { Commodity, NewDevice } from "../../api/contract.ts";

export interface ChannelDraft {
  channel: string;
  kind: "INTERVAL" | "REGISTER" | "GAUGE";
  unit: string;
  interval_s: string;
  multiplier: string;
  register_digits: string;
}

export interface Draft {
  device_id: string;
  site_id: string;
  zone: string;
  address: string;
  customer_id: string;
  customer_name: string;
  gateway_id: string;
  commodity: Commodity;
  customer_class: string;
  channels: ChannelDraft[];
}

const channel = (more: Partial<ChannelDraft>): ChannelDraft => ({
  channel: "",
  kind: "INTERVAL",
  unit: "",
  interval_s: "",
  multiplier: "1",
  register_digits: "",
  ...more,
});

/** What meters of a commodity usually have: a start, to be changed where it does not fit. */
const USUAL: Record<Commodity, ChannelDraft[]> = {
  ELECTRICITY: [
    channel({ channel: "1-0:1.29.0", unit: "kWh", interval_s: "1800" }),
    channel({ channel: "1-0:1.8.0", kind: "REGISTER", unit: "kWh", register_digits: "6" }),
  ],
  WATER: [channel({ channel: "8-0:1.0.0", unit: "m3", interval_s: "3600" })],
  GAS: [channel({ channel: "7-0:3.1.0", unit: "m3", interval_s: "3600" })],
  HEAT: [channel({ channel: "6-0:1.0.0", unit: "kWh", interval_s: "3600" })],
  SENSOR: [channel({ channel: "temperature", kind: "GAUGE", unit: "degC" })],
};

export function usualChannels(commodity: Commodity): ChannelDraft[] {
  return USUAL[commodity].map((row) => ({ ...row }));
}

export function emptyDraft(): Draft {
  return {
    device_id: "",
    site_id: "",
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    address: "",
    customer_id: "",
    customer_name: "",
    gateway_id: "",
    commodity: "ELECTRICITY",
    customer_class: "RESIDENTIAL",
    channels: usualChannels("ELECTRICITY"),
  };
}

/** What is wrong, by name of field; `channels.0.unit` for a field of a channel. */
export type Wrong = Record<string, string>;

const IDENTIFIER = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

export function validate(draft: Draft, zones: readonly string[]): Wrong {
  const wrong: Wrong = {};
  const say = (field: string, bad: boolean, text: string) => {
    if (bad && !(field in wrong)) wrong[field] = text;
  };
  for (const field of ["device_id", "site_id"] as const) {
    say(field, draft[field].trim() === "", "This is needed.");
    say(
      field,
      !IDENTIFIER.test(draft[field].trim()),
      "Letters, digits and . _ : - only, at most 128, beginning with a letter or digit.",
    );
  }
  for (const field of ["customer_id", "gateway_id"] as const) {
    const text = draft[field].trim();
    say(field, text !== "" && !IDENTIFIER.test(text), "Letters, digits and . _ : - only.");
  }
  say(
    "customer_id",
    draft.customer_id.trim() === "" && draft.customer_name.trim() !== "",
    "A customer with a name needs an identifier.",
  );
  say("zone", !zones.includes(draft.zone), "Choose an IANA time zone, such as Europe/London.");
  say("channels", draft.channels.length === 0, "A device needs at least one channel.");
  const names = draft.channels.map((row) => row.channel.trim());
  draft.channels.forEach((row, i) => {
    const name = row.channel.trim();
    say(`channels.${i}.channel`, name === "", "This is needed.");
    say(`channels.${i}.channel`, names.indexOf(name) !== i, "This channel is named twice.");
    say(`channels.${i}.unit`, row.unit.trim() === "", "This is needed.");
    say(
      `channels.${i}.interval_s`,
      row.kind === "INTERVAL" && !/^[1-9]\d{0,5}$/.test(row.interval_s),
      "Seconds, a whole number.",
    );
    say(
      `channels.${i}.interval_s`,
      row.kind === "INTERVAL" && 86_400 % Number(row.interval_s) !== 0,
      "It must divide a day.",
    );
    say(
      `channels.${i}.multiplier`,
      !(/^\d+(\.\d+)?$/.test(row.multiplier) && Number(row.multiplier) > 0),
      "A number above zero.",
    );
    say(
      `channels.${i}.register_digits`,
      row.register_digits !== "" && !/^([1-9]|1[0-2])$/.test(row.register_digits),
      "From 1 to 12.",
    );
  });
  return wrong;
}

export function toNewDevice(draft: Draft): NewDevice {
  const optional = (name: string, value: string) => (value.trim() === "" ? {} : { [name]: value.trim() });
  return {
    device_id: draft.device_id.trim(),
    site_id: draft.site_id.trim(),
    zone: draft.zone,
    commodity: draft.commodity,
    ...optional("address", draft.address),
    ...optional("customer_id", draft.customer_id),
    ...optional("customer_name", draft.customer_name),
    ...optional("gateway_id", draft.gateway_id),
    ...optional("customer_class", draft.customer_class),
    channels: draft.channels.map((row) => ({
      channel: row.channel.trim(),
      kind: row.kind,
      unit: row.unit.trim(),
      ...(row.kind === "INTERVAL" ? { interval_s: Number(row.interval_s) } : {}),
      ...(row.multiplier === "1" ? {} : { multiplier: row.multiplier }),
      ...(row.kind === "REGISTER" && row.register_digits !== ""
        ? { register_digits: Number(row.register_digits) }
        : {}),
    })),
  };
}
