// The contract between the service `dashboard` and this app.
// local days are "YYYY-MM-DD" in the site's zone; quantities are decimal STRINGS (exact), never JSON floats.
// Errors: RFC 9457 application/problem+json {type,title,status,detail,instance,request_id,errors?:[{field,detail}]}.
// Lists: ?limit= (1..500, default 50) &cursor=; answer Page<T>. GETs carry ETag, honour If-None-Match.
// Every list and object is of ONE tenant: the claim's; an operator picks one with ?tenant_id= (400 when needed and missing).
// A foreign or unknown id is 404, always with the same body shape. A role without the right to a route at all: 403.

export type Role = "operator" | "tenant_admin" | "analyst" | "customer";
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

// ---- no token needed
// GET /v1/config
export interface WebConfig {
  issuer: string;
  client_id: string;
  audience: string;
  scope: string;
  product: string; // "Meterway"
  demo_users: { username: string; password: string; role: Role; label: string }[]; // only in a demo, else []
  docs: { label: string; url: string }[]; // links shown in the footer (dbt docs, runbooks…), may be []
}
// GET /openapi.json ; everything not under /v1, /openapi.json, /healthz is the web app (index.html for client routes)

// ---- who am I
// GET /v1/me
export interface Me {
  subject: string;
  name: string;
  role: Role;
  tenant_id: string | null;
  customer_id: string | null;
  permissions: Permission[];
}
export type Permission =
  | "devices.read"
  | "devices.write"
  | "alerts.read"
  | "alerts.write"
  | "completeness.read"
  | "pipeline.read"
  | "exports.create"
  | "audit.read"
  | "tenants.read";
// operator: all. tenant_admin: all but tenants.read. analyst: devices.read alerts.read completeness.read pipeline.read exports.create.
// customer: devices.read alerts.read alerts.write(acknowledge and "normal" on own) exports.create, all limited to own devices.
// GET /v1/tenants -> Page<{tenant_id,name,status}>   (operator only)

// ---- settings per user
// GET/PUT /v1/settings
export interface Settings {
  theme: "system" | "light" | "dark";
  cards: string[] /* card ids in order, [] = the role's default */;
}

// ---- overview
// GET /v1/overview
export interface Overview {
  as_of: string;
  devices: { total: number; live: number; silent: number; power_off: number }; // live: seen in the last 36 h of event time
  by_commodity: { commodity: Commodity; devices: number }[];
  open_alerts: { kind: AlertKind; severity: Severity; count: number }[];
  completeness: CompletenessDay[]; // last 30 local days with data, oldest first
  consumption: { commodity: Commodity; unit: string; local_day: string; quantity: string }[]; // the same days
  freshness: Stage[]; // as in /v1/pipeline (empty without pipeline.read)
}
export type Commodity = "ELECTRICITY" | "GAS" | "WATER" | "HEAT" | "SENSOR";

// ---- devices
// GET /v1/devices?q=&site_id=&customer_id=&commodity=&state=live|silent|power_off&limit=&cursor=
// GET /v1/devices/{device_id}
export interface Device {
  device_id: string;
  tenant_id: string;
  customer_id: string | null;
  site_id: string;
  gateway_id: string | null;
  status: "ACTIVE" | "INACTIVE" | "RETIRED";
  commodity: Commodity;
  customer_class: string;
  zone: string;
  version: number;
  channels: Channel[];
  live: LiveStatus | null;
  open_alerts: number;
}
export interface Channel {
  channel: string;
  kind: "INTERVAL" | "REGISTER" | "GAUGE";
  unit: string;
  interval_s: number | null;
  multiplier: string;
}
export interface LiveStatus {
  event_at: string;
  last_seen: string;
  power: "ON" | "OFF" | null;
  power_at: string | null;
  values: {
    channel: string;
    kind: string;
    value: string;
    unit: string;
    start: string;
    duration_s: number;
    valid: boolean;
  }[];
}
// GET /v1/sites -> Page<Site>
export interface Site {
  site_id: string;
  zone: string;
  address: string | null;
  devices: number;
}

// GET /v1/devices/{id}/readings?channel=&from=&to=&versions=latest|all&limit=(..20000)&cursor=   from/to: instants, half open
export interface Reading {
  channel: string;
  kind: string;
  start: string;
  duration_s: number;
  value: string;
  unit: string;
  verdict: "VALID" | "SUSPECT" | "ESTIMATED";
  failed_rules: string[];
  estimation_method: string | null;
  version: number;
  revision: number;
  local_day: string;
  loaded_at: string;
}
// answer: Page<Reading> & { zone: string }
// GET /v1/devices/{id}/series?channel=&from=&to=   compact columns for charts, newest versions only, at most 50 000 points
export interface Series {
  zone: string;
  unit: string;
  kind: string;
  interval_s: number | null;
  start: number[] /* epoch seconds, ascending */;
  value: (number | null)[] /* drawn only, so floats */;
  verdict: number[] /* 0 VALID 1 SUSPECT 2 ESTIMATED */;
  version: number[];
  truncated: boolean;
}

// GET /v1/devices/{id}/consumption?channel=&grain=hour|day|month&from=&to=     from/to: local days, half open
// GET /v1/consumption?grain=day|month&from=&to=&group_by=site|commodity&commodity=
export interface Consumption {
  zone: string | null;
  grain: "hour" | "day" | "month";
  unit: string;
  buckets: Bucket[];
}
export interface Bucket {
  start: string /* instant of the bucket's begin */;
  local: string /* "2025-03-30", "2025-03-30T01:00+01:00", "2025-03" */;
  hours: string /* 23, 24, 25 for days */;
  quantity: string;
  intervals: number;
  expected: number | null;
  completeness: string | null;
  estimated_share: string;
  suspect_share: string;
}
// GET /v1/consumption answers { items: (Consumption & { group: string; commodity: Commodity })[] }

// ---- alerts
// GET /v1/alerts?state=open|closed&kind=&device_id=&acknowledged=true|false&limit=&cursor=   newest first
export type AlertKind =
  | "OUTAGE"
  | "TAMPER"
  | "LOW_BATTERY"
  | "CONTINUOUS_FLOW"
  | "SILENT_METER"
  | "HIGH_USAGE"
  | "REVERSE_FLOW"
  | "OTHER";
export type Severity = "INFO" | "WARNING" | "CRITICAL";
export interface Alert {
  alert_id: string;
  device_id: string;
  site_id: string | null;
  customer_id: string | null;
  kind: AlertKind;
  severity: Severity;
  state: "OPENED" | "UPDATED" | "CLOSED";
  revision: number;
  opened_at: string;
  updated_at: string;
  closed_at: string | null;
  detail: string;
  zone: string | null;
  acknowledgement: { by: string; at: string; note: string; normal: boolean } | null;
}
// GET /v1/alerts/{alert_id}
// POST /v1/alerts/{alert_id}/acknowledge {note:string}          -> Alert (idempotent)
// POST /v1/alerts/{alert_id}/normal {note:string}               -> Alert ("this is normal"; CONTINUOUS_FLOW and HIGH_USAGE only, else 409)

// ---- completeness
// GET /v1/completeness?from=&to=            -> { items: CompletenessDay[] }
export interface CompletenessDay {
  local_day: string;
  expected: number;
  received: number;
  estimated: number;
  suspect: number;
  devices: number;
  devices_incomplete: number;
  completeness: string;
}
// GET /v1/completeness/{local_day}?limit=&cursor=   devices with holes, worst first
// -> Page<{device_id, channel, expected, received, completeness, zone}>
// GET /v1/devices/{id}/gaps?channel=&from=&to=   -> { zone, items: { from: string; to: string; intervals: number }[] }  the missing intervals

// ---- pipeline (permission pipeline.read)
// GET /v1/pipeline
export interface Pipeline {
  as_of: string;
  stages: Stage[];
  missing_partitions: { topic: string; partition: number; since: string | null; detail: string }[];
  loads: {
    at: string;
    table: string;
    snapshot_id: string;
    rows: number;
    files: number;
    state: string;
    duration_ms: number | null;
  }[]; // last 20
  rejected: { code: string; count: number }[]; // warehouse, last 7 local days with data
  reject_ratio: string | null;
  dead_letters: number | null; // messages with a rejection, same days
}
export interface Stage {
  stage: "raw" | "validated" | "lake" | "warehouse" | "facts" | "live";
  label: string;
  newest_at: string | null /* when the newest thing arrived there */;
  freshness_s: number | null;
  lag: number | null /* messages or rows behind the stage before */;
  rate_per_s: string | null;
  state: "ok" | "late" | "down" | "idle";
  detail: string;
  runbook: string | null;
}

// ---- exports (permission exports.create); audit
// GET /v1/exports/readings.csv?device_id=&from=&to=          streamed text/csv
// GET /v1/exports/consumption.csv?grain=&from=&to=
// GET /v1/devices/{id}/green-button.xml?from=&to=            ESPI 3.3 Atom feed, INTERVAL channel of electricity, gas or water
// POST /v1/exports {dataset:"readings"|"consumption_daily", from,to, device_id?} -> 201 { url, expires_at, rows, bytes }  Parquet by presigned URL
// GET /v1/audit?limit=&cursor=  -> Page<{at, subject, name, role, action, target, status}>   newest first

// ---- onboarding (permission devices.write)
// POST /v1/devices  (body: NewDevice)                        -> 201 Device
export interface NewDevice {
  device_id: string;
  site_id: string;
  zone: string;
  address?: string;
  customer_id?: string;
  customer_name?: string;
  gateway_id?: string;
  commodity: Commodity;
  customer_class?: string;
  channels: {
    channel: string;
    kind: string;
    unit: string;
    interval_s?: number;
    multiplier?: string;
    register_digits?: number;
  }[];
}
// POST /v1/devices/import   text/csv, header line; columns device_id,site_id,zone,customer_id,gateway_id,commodity,customer_class,channel,kind,unit,interval_s
export interface ImportReport {
  lines: number;
  created: number;
  updated: number;
  unchanged: number;
  failed: number;
  errors: { line: number; device_id: string | null; detail: string }[];
}

// ---- live
// GET /v1/stream   text/event-stream. Auth: Authorization: Bearer (the web uses fetch streaming, not EventSource).
//   event: reading  id: <opaque>  data: LiveReading     (sampled per device to at most one a second per client)
//   event: alert    id: <opaque>  data: Alert
//   event: ping     data: {"at": ...}   each 15 s
//   event: dropped  data: {"count": n}  when the client was too slow (bounded queue)
// ?kinds=alert,reading narrows; ?device_id= narrows. Last-Event-ID resumes (alerts exactly, readings as far as the topic holds; bounded).
export interface LiveReading {
  device_id: string;
  site_id: string | null;
  commodity: Commodity;
  channel: string;
  kind: string;
  value: string;
  unit: string;
  start: string;
  duration_s: number;
  verdict: string;
  received_at: string | null;
  validated_at: string;
}
