import { expect, it } from "vitest";
import { type Draft, emptyDraft, toNewDevice, usualChannels, validate } from "./form.ts";

const zones = ["Europe/London", "UTC"];

function draft(more: Partial<Draft> = {}): Draft {
  return { ...emptyDraft(), device_id: "m-1", site_id: "s-1", zone: "Europe/London", ...more };
}

it("accepts a plain device, and sends only what was said", () => {
  expect(validate(draft(), zones)).toEqual({});
  expect(toNewDevice(draft({ customer_class: "" }))).toEqual({
    device_id: "m-1",
    site_id: "s-1",
    zone: "Europe/London",
    commodity: "ELECTRICITY",
    channels: [
      { channel: "1-0:1.29.0", kind: "INTERVAL", unit: "kWh", interval_s: 1800 },
      { channel: "1-0:1.8.0", kind: "REGISTER", unit: "kWh", register_digits: 6 },
    ],
  });
});

it("says what is wrong at the field where it is wrong", () => {
  const [interval, register] = usualChannels("ELECTRICITY");
  if (!interval || !register) expect.unreachable();
  const wrong = validate(
    draft({
      device_id: "no spaces please",
      site_id: " ",
      zone: "Mars/Olympus",
      customer_name: "Ana",
      channels: [
        { ...interval, interval_s: "7000", multiplier: "0" },
        { ...register, channel: interval.channel, register_digits: "40" },
      ],
    }),
    zones,
  );
  expect(Object.keys(wrong).sort()).toEqual([
    "channels.0.interval_s",
    "channels.0.multiplier",
    "channels.1.channel",
    "channels.1.register_digits",
    "customer_id",
    "device_id",
    "site_id",
    "zone",
  ]);
  expect(wrong.site_id).toBe("This is needed.");
});

it("asks for a length of interval only where there are intervals", () => {
  expect(validate(draft({ commodity: "SENSOR", channels: usualChannels("SENSOR") }), zones)).toEqual({});
  expect(validate(draft({ channels: [] }), zones)).toHaveProperty("channels");
});
