import type { Channel, Reading } from "../src/api/contract.ts";
import { localDay, offset } from "../src/lib/zone.ts";
import { chance, milli } from "./random.ts";
import type { FixtureDevice } from "./world.ts";

export const DAY = 86_400;

/** Share of a usual hour that is used at each hour of the day, by commodity. */
const SHAPES: Record<string, number[]> = {
  ELECTRICITY: [5, 4, 4, 4, 4, 5, 8, 12, 11, 9, 8, 8, 9, 9, 8, 8, 10, 14, 18, 19, 17, 14, 10, 7],
  WATER: [1, 1, 0, 0, 1, 4, 14, 22, 16, 9, 8, 8, 10, 9, 7, 7, 9, 13, 16, 14, 11, 8, 5, 2],
  GAS: [4, 3, 3, 3, 5, 11, 18, 19, 13, 9, 8, 7, 7, 7, 8, 9, 13, 17, 18, 16, 13, 9, 6, 4],
};

export interface Point {
  value: number;
  verdict: 0 | 1 | 2;
  version: number;
}

/** The interval that begins at the second: what its meter said, or null where it said nothing. */
export function point(device: FixtureDevice, channel: Channel, start: number): Point | null {
  const length = channel.interval_s ?? 3600;
  const day = Math.floor(start / DAY);
  const slot = Math.floor((start % DAY) / length);
  const gap = gapOf(device, day, DAY / length);
  const filled = gap?.estimated ?? false;
  if (gap && slot >= gap.from && slot < gap.to && !filled) return null;

  const local = start + offset(start * 1000, device.zone);
  const hour = Math.floor((local % DAY) / 3600);
  const shape = (SHAPES[device.commodity]?.[hour] ?? 8) / 9;
  const season =
    device.commodity === "WATER"
      ? 1
      : 1 + (device.commodity === "GAS" ? 0.8 : 0.25) * Math.cos(((day % 365) / 365) * 2 * Math.PI);
  const noise = 0.55 + 0.9 * chance(device.device_id, start);
  let value = device.usual * (length / 3600) * shape * season * noise;
  if (device.commodity === "WATER" && chance(device.device_id, start, "dry") < 0.25) value = 0;
  if (leaks(device)) value += device.usual * 0.8;

  if (gap && slot >= gap.from && slot < gap.to)
    return { value: Math.round(device.usual * (length / 3600) * shape * season), verdict: 2, version: 1 };
  const luck = chance(device.device_id, start, "fault");
  if (luck < 0.0011)
    return { value: Math.round(value * 3.6 + 400 * (length / 3600)), verdict: 1, version: 1 };
  return { value: Math.round(value), verdict: 0, version: luck > 0.9975 ? 2 : 1 };
}

export function leaks(device: FixtureDevice): boolean {
  return device.commodity === "WATER" && chance(device.device_id, "leak") < 0.18;
}

/** Slots of a day for which the meter said nothing; short ones were estimated later. */
function gapOf(
  device: FixtureDevice,
  day: number,
  slots: number,
): { from: number; to: number; estimated: boolean } | null {
  const bad = chance(day, "bad day") < 0.06 ? 0.35 : 0.035;
  if (chance(device.device_id, day, "gap") > bad) return null;
  const length = 1 + Math.floor(chance(device.device_id, day, "length") ** 2 * slots * 0.7);
  const from = Math.floor(chance(device.device_id, day, "from") * (slots - length));
  return { from, to: from + length, estimated: length <= slots / 12 };
}

/** Newest instant that a device has delivered, in seconds. */
export function deliveredUntil(device: FixtureDevice, now: number): number {
  const behind = device.state === "live" ? 900 : device.state === "power_off" ? 5 * 3600 : 3 * DAY;
  return Math.floor((now / 1000 - behind) / 1800) * 1800;
}

export interface Row extends Point {
  start: number;
}

/** Rows of a channel in [from, to), seconds; missing intervals are left out. */
export function rows(device: FixtureDevice, channel: Channel, from: number, to: number, now: number): Row[] {
  const until = Math.min(to, deliveredUntil(device, now));
  const step = channel.interval_s ?? (channel.kind === "GAUGE" ? 6 * 3600 : DAY);
  const found: Row[] = [];
  const shift = channel.kind === "REGISTER" ? -offset(from * 1000, device.zone) : 0;
  for (let start = Math.ceil((from - shift) / step) * step + shift; start < until; start += step) {
    const at = channel.kind === "INTERVAL" ? point(device, channel, start) : other(device, channel, start);
    if (at) found.push({ start, ...at });
  }
  return found;
}

function other(device: FixtureDevice, channel: Channel, start: number): Point {
  if (channel.kind === "GAUGE")
    return { value: Math.round(9000 + 4000 * chance(device.device_id, start)), verdict: 0, version: 1 };
  return { value: dial(device, start), verdict: 0, version: 1 };
}

const dials = new Map<string, number>();

/** The dial adds up what was used since a day in the past, estimates and unseen intervals included. */
function dial(device: FixtureDevice, start: number): number {
  const interval = device.channels[0];
  const key = (at: number) => `${device.device_id} ${at}`;
  let at = start;
  while (!dials.has(key(at)) && start - at < 400 * DAY && at % (400 * DAY) >= DAY) at -= DAY;
  let value = dials.get(key(at)) ?? 18_000_000;
  for (; interval && at < start; at += DAY) {
    dials.set(key(at), value);
    for (let s = at; s < at + DAY; s += interval.interval_s ?? 3600) {
      value += point(device, interval, s)?.value ?? Math.round(device.usual / 2);
    }
  }
  dials.set(key(start), value);
  return value;
}

const VERDICTS = ["VALID", "SUSPECT", "ESTIMATED"] as const;

export function toReading(device: FixtureDevice, channel: Channel, row: Row, version = row.version): Reading {
  const old = version < row.version;
  const start = new Date(row.start * 1000).toISOString().replace(".000Z", "Z");
  return {
    channel: channel.channel,
    kind: channel.kind,
    start,
    duration_s: channel.kind === "INTERVAL" ? (channel.interval_s ?? 0) : 0,
    value: milli(old ? row.value * 0.62 : row.value),
    unit: channel.unit,
    verdict: VERDICTS[row.verdict],
    failed_rules: row.verdict === 1 ? ["SPIKE"] : [],
    estimation_method: row.verdict === 2 ? "LINEAR_INTERPOLATION" : null,
    version,
    revision: 0,
    local_day: localDay(row.start * 1000, device.zone),
    loaded_at: new Date((row.start + 5400 + (version - 1) * 2 * DAY) * 1000).toISOString(),
  };
}
