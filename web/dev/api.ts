import type {
  Alert,
  CompletenessDay,
  Device,
  ImportReport,
  Me,
  NewDevice,
  Overview,
  Permission,
  Role,
  Series,
  Settings,
} from "../src/api/contract.ts";
import { parseCsv } from "../src/lib/csv.ts";
import { addDays, localDay } from "../src/lib/zone.ts";
import { makeAlerts } from "./alerts.ts";
import { buckets, completenessDay, gaps, holes } from "./figures.ts";
import { makePipeline } from "./pipeline.ts";
import { milli } from "./random.ts";
import { deliveredUntil, rows, toReading } from "./readings.ts";
import { addressOf, DEVICES, type FixtureDevice, type FixtureUser, TENANTS } from "./world.ts";

const PERMISSIONS: Record<Role, Permission[]> = {
  operator: [
    "devices.read",
    "devices.write",
    "alerts.read",
    "alerts.write",
    "completeness.read",
    "pipeline.read",
    "exports.create",
    "audit.read",
    "tenants.read",
  ],
  tenant_admin: [
    "devices.read",
    "devices.write",
    "alerts.read",
    "alerts.write",
    "completeness.read",
    "pipeline.read",
    "exports.create",
    "audit.read",
  ],
  analyst: ["devices.read", "alerts.read", "completeness.read", "pipeline.read", "exports.create"],
  customer: ["devices.read", "alerts.read", "alerts.write", "exports.create"],
};

export class Refusal extends Error {
  readonly status: number;
  readonly detail: string;
  readonly errors: { field: string; detail: string }[];
  constructor(status: number, title: string, detail = "", errors: Refusal["errors"] = []) {
    super(title);
    this.status = status;
    this.detail = detail;
    this.errors = errors;
  }
}

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  body: string;
  user: FixtureUser;
}

export type Answer = { json: unknown; status?: number } | { text: string; type: string };

const START = Date.now();
const alerts = makeAlerts(START);
const settings = new Map<string, Settings>();

export function seen(user: FixtureUser, query: URLSearchParams): FixtureDevice[] {
  const tenant = user.tenant_id ?? query.get("tenant_id");
  if (tenant === null) throw new Refusal(400, "Choose a utility", "An operator names one with tenant_id.");
  return DEVICES.filter(
    (device) =>
      device.tenant_id === tenant && (user.customer_id === null || device.customer_id === user.customer_id),
  );
}

export function alertsOf(devices: FixtureDevice[]): Alert[] {
  const ids = new Set(devices.map((device) => device.device_id));
  return alerts.filter((alert) => ids.has(alert.device_id));
}

function need(user: FixtureUser, permission: Permission) {
  if (!PERMISSIONS[user.role].includes(permission))
    throw new Refusal(403, "Not open to this role", `It takes ${permission}.`);
}

function page<T>(list: T[], query: URLSearchParams): { items: T[]; next_cursor: string | null } {
  const from = Number(query.get("cursor") ?? 0);
  const to = from + Number(query.get("limit") ?? 50);
  return { items: list.slice(from, to), next_cursor: to < list.length ? String(to) : null };
}

export function answer(request: Request): Answer {
  const { path, query, user, method } = request;
  const now = Date.now();
  const [, , first = "", second = "", third = ""] = path.split("/").map(decodeURIComponent);
  if (path === "/v1/me") return { json: me(user) };
  if (path === "/v1/tenants") {
    need(user, "tenants.read");
    return { json: page(TENANTS, query) };
  }
  if (path === "/v1/settings") {
    if (method === "PUT") settings.set(user.username, JSON.parse(request.body) as Settings);
    return { json: settings.get(user.username) ?? { theme: "system", cards: [] } };
  }
  const devices = seen(user, query);
  switch (first) {
    case "overview":
      return { json: overview(devices, user, now) };
    case "sites":
      return { json: page(sites(devices), query) };
    case "devices":
      if (method === "POST") {
        need(user, "devices.write");
        return second === "import"
          ? { json: importCsv(request.body) }
          : { json: register(JSON.parse(request.body) as NewDevice, devices), status: 201 };
      }
      return second === ""
        ? { json: page(search(devices, query, now), query) }
        : ofDevice(find(devices, second), third, query, now);
    case "consumption":
      return { json: consumption(devices, query, now) };
    case "alerts":
      return method === "POST"
        ? { json: acknowledge(devices, second, third, request) }
        : { json: page(filterAlerts(devices, query), query) };
    case "completeness":
      need(user, "completeness.read");
      return second === ""
        ? { json: { items: days(devices, query.get("from") ?? "", query.get("to") ?? "", now) } }
        : { json: page(holes(devices, second, now), query) };
    case "pipeline":
      need(user, "pipeline.read");
      return { json: makePipeline(now) };
    case "audit":
      need(user, "audit.read");
      return { json: page(audit(now), query) };
    case "exports":
      need(user, "exports.create");
      if (method === "POST")
        return {
          json: {
            url: "/v1/exports/readings.csv",
            expires_at: new Date(now + 600_000).toISOString(),
            rows: 17_520,
            bytes: 88_123,
          },
          status: 201,
        };
      return { text: "device_id,channel,start,value,unit\n", type: "text/csv" };
    default:
      throw new Refusal(404, "Not found", "There is nothing at this address.");
  }
}

function me(user: FixtureUser): Me {
  const { name, role, tenant_id, customer_id, username } = user;
  return { subject: username, name, role, tenant_id, customer_id, permissions: PERMISSIONS[role] };
}

function find(devices: FixtureDevice[], id: string): FixtureDevice {
  const device = devices.find((d) => d.device_id === id);
  if (!device) throw new Refusal(404, "No such device", "It does not exist, or it is not yours to see.");
  return device;
}

function sites(devices: FixtureDevice[]) {
  const ids = [...new Set(devices.map((device) => device.site_id))];
  return ids.map((site_id) => {
    const here = devices.filter((device) => device.site_id === site_id);
    return { site_id, zone: here[0]?.zone ?? "UTC", address: addressOf(site_id), devices: here.length };
  });
}

function toDevice(device: FixtureDevice, now: number): Device {
  const { usual: _usual, state, ...rest } = device;
  const until = deliveredUntil(device, now);
  const at = new Date(until * 1000).toISOString();
  const iso = (s: number) => new Date(s * 1000).toISOString();
  return {
    ...rest,
    version: 3,
    open_alerts: alertsOf([device]).filter((alert) => alert.state !== "CLOSED").length,
    live: {
      event_at: at,
      last_seen: at,
      power: device.commodity === "ELECTRICITY" ? (state === "power_off" ? "OFF" : "ON") : null,
      power_at: device.commodity === "ELECTRICITY" ? iso(until - 86_400 * 9) : null,
      values: device.channels.flatMap((channel) => {
        const row = rows(device, channel, until - 2 * 86_400, until, now).at(-1);
        if (!row) return [];
        return [
          {
            channel: channel.channel,
            kind: channel.kind,
            value: milli(row.value),
            unit: channel.unit,
            start: iso(row.start),
            duration_s: channel.interval_s ?? 0,
            valid: row.verdict !== 1,
          },
        ];
      }),
    },
  };
}

function search(devices: FixtureDevice[], query: URLSearchParams, now: number): Device[] {
  const q = (query.get("q") ?? "").toLowerCase();
  const fits = (name: string, value: string) => !query.get(name) || query.get(name) === value;
  return devices
    .filter((d) => [d.device_id, d.site_id, d.customer_id].some((text) => text.includes(q)))
    .filter((d) => fits("state", d.state) && fits("commodity", d.commodity) && fits("site_id", d.site_id))
    .map((device) => toDevice(device, now));
}

function ofDevice(device: FixtureDevice, what: string, query: URLSearchParams, now: number): Answer {
  if (what === "") return { json: toDevice(device, now) };
  if (what === "green-button.xml") return { text: "<feed/>", type: "application/atom+xml" };
  const channel = device.channels.find((c) => c.channel === query.get("channel"));
  if (!channel) throw new Refusal(400, "No such channel", "The device does not have it.");
  if (what === "consumption") {
    const grain = query.get("grain") === "month" ? "month" : "day";
    return {
      json: {
        zone: device.zone,
        grain,
        unit: channel.unit,
        buckets: buckets([device], grain, query.get("from") ?? "", query.get("to") ?? "", now),
      },
    };
  }
  const from = Date.parse(query.get("from") ?? "") / 1000;
  const to = Date.parse(query.get("to") ?? "") / 1000;
  if (what === "gaps") return { json: { zone: device.zone, items: gaps(device, from, to, now) } };
  const found = rows(device, channel, from, to, now);
  if (what === "series") {
    const series: Series = {
      zone: device.zone,
      unit: channel.unit,
      kind: channel.kind,
      interval_s: channel.interval_s,
      start: found.map((row) => row.start),
      value: found.map((row) => row.value / 1000),
      verdict: found.map((row) => row.verdict),
      version: found.map((row) => row.version),
      truncated: false,
    };
    return { json: series };
  }
  const versions = (version: number) =>
    query.get("versions") === "all" ? Array.from({ length: version }, (_, i) => i + 1) : [version];
  const readings = found.flatMap((row) =>
    versions(row.version).map((version) => toReading(device, channel, row, version)),
  );
  return { json: { ...page(readings, query), zone: device.zone } };
}

function days(devices: FixtureDevice[], from: string, to: string, now: number): CompletenessDay[] {
  const today = localDay(now, devices[0]?.zone ?? "UTC");
  const active = devices.filter((device) => device.state === "live");
  const list: CompletenessDay[] = [];
  for (let day = from; day < to && day < today; day = addDays(day, 1))
    list.push(completenessDay(active, day, now));
  return list;
}

function overview(devices: FixtureDevice[], user: FixtureUser, now: number): Overview {
  const today = localDay(now, devices[0]?.zone ?? "UTC");
  const open = alertsOf(devices).filter((alert) => alert.state !== "CLOSED");
  const groups = new Map<string, Overview["open_alerts"][number]>();
  for (const { kind, severity } of open) {
    const group = groups.get(`${kind} ${severity}`) ?? { kind, severity, count: 0 };
    groups.set(`${kind} ${severity}`, { ...group, count: group.count + 1 });
  }
  const commodities = [...new Set(devices.map((device) => device.commodity))];
  return {
    as_of: new Date(now).toISOString(),
    devices: {
      total: devices.length,
      live: devices.filter((d) => d.state === "live").length,
      silent: devices.filter((d) => d.state === "silent").length,
      power_off: devices.filter((d) => d.state === "power_off").length,
    },
    by_commodity: commodities.map((commodity) => ({
      commodity,
      devices: devices.filter((d) => d.commodity === commodity).length,
    })),
    open_alerts: [...groups.values()],
    completeness: days(devices, addDays(today, -30), today, now),
    consumption: commodities.flatMap((commodity) => {
      const of = devices.filter((d) => d.commodity === commodity);
      return buckets(of, "day", addDays(today, -30), today, now).map((b) => ({
        commodity,
        unit: of[0]?.channels[0]?.unit ?? "",
        local_day: b.local,
        quantity: b.quantity,
      }));
    }),
    freshness: user.role === "customer" ? [] : makePipeline(now).stages,
  };
}

function consumption(devices: FixtureDevice[], query: URLSearchParams, now: number) {
  const grain = query.get("grain") === "month" ? "month" : "day";
  const bySite = query.get("group_by") === "site";
  const groups = new Map<string, FixtureDevice[]>();
  for (const device of devices) {
    if (query.get("commodity") && query.get("commodity") !== device.commodity) continue;
    const key = `${bySite ? device.site_id : device.commodity} ${device.commodity}`;
    groups.set(key, [...(groups.get(key) ?? []), device]);
  }
  const items = [...groups].slice(0, 12).map(([key, of]) => ({
    group: key.split(" ")[0],
    commodity: of[0]?.commodity,
    zone: of[0]?.zone ?? null,
    grain,
    unit: of[0]?.channels[0]?.unit,
    buckets: buckets(of, grain, query.get("from") ?? "", query.get("to") ?? "", now),
  }));
  return { items: items.filter((item) => item.buckets.length > 0) };
}

function filterAlerts(devices: FixtureDevice[], query: URLSearchParams): Alert[] {
  const is = (name: string, test: (value: string) => boolean) =>
    !query.get(name) || test(query.get(name) ?? "");
  return alertsOf(devices).filter(
    (alert) =>
      is("state", (state) => (state === "closed") === (alert.state === "CLOSED")) &&
      is("kind", (kind) => kind === alert.kind) &&
      is("device_id", (id) => id === alert.device_id) &&
      is("acknowledged", (yes) => (yes === "true") === (alert.acknowledgement !== null)),
  );
}

function acknowledge(devices: FixtureDevice[], id: string, what: string, { user, body }: Request): Alert {
  need(user, "alerts.write");
  const alert = alertsOf(devices).find((a) => a.alert_id === id);
  if (!alert) throw new Refusal(404, "No such alert");
  const { note } = JSON.parse(body) as { note: string };
  alert.acknowledgement ??= { by: user.name, at: new Date().toISOString(), note, normal: false };
  if (what === "normal") alert.acknowledgement.normal = true;
  return alert;
}

function register(body: NewDevice, devices: FixtureDevice[]): Device {
  if (devices.some((device) => device.device_id === body.device_id)) {
    throw new Refusal(409, "This device is registered already", "", [
      { field: "device_id", detail: "There is a device with this name." },
    ]);
  }
  const model = devices[0];
  if (!model) throw new Refusal(409, "No utility");
  const device: FixtureDevice = {
    ...model,
    device_id: body.device_id,
    site_id: body.site_id,
    zone: body.zone,
    commodity: body.commodity,
    state: "silent",
  };
  DEVICES.push(device);
  return toDevice(device, Date.now());
}

function importCsv(text: string): ImportReport {
  const [head = [], ...lines] = parseCsv(text);
  const at = (line: string[], name: string) => line[head.indexOf(name)] ?? "";
  const errors = lines.flatMap((line, i) => {
    const bad = ["device_id", "site_id", "zone", "channel"].filter((name) => at(line, name) === "");
    return bad.length === 0
      ? []
      : [
          {
            line: i + 2,
            device_id: at(line, "device_id") || null,
            detail: `${bad.join(", ")} must not be empty`,
          },
        ];
  });
  return {
    lines: lines.length,
    created: lines.length - errors.length,
    updated: 0,
    unchanged: 0,
    failed: errors.length,
    errors,
  };
}

function audit(now: number) {
  const acts = [
    ["tom", "Tom Aldridge", "tenant_admin", "devices.create", "northgrid-e-00031", 201],
    ["chris", "Chris Webb", "customer", "alerts.normal", "northgrid-w-00001:CONTINUOUS_FLOW", 200],
    ["ana", "Ana Ferreira", "analyst", "exports.create", "consumption_daily 2026-10-01 to 2026-11-01", 201],
    ["ana", "Ana Ferreira", "analyst", "devices.import", "84 lines", 403],
  ] as const;
  return Array.from({ length: 32 }, (_, i) => {
    const [subject, name, role, action, target, status] = acts[i % acts.length] ?? acts[0];
    return { at: new Date(now - i * 2_700_000).toISOString(), subject, name, role, action, target, status };
  });
}
