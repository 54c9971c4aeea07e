import type { Bucket, Channel, CompletenessDay } from "../src/api/contract.ts";
import { addDays, addMonths, dayStart, localDay } from "../src/lib/zone.ts";
import { milli } from "./random.ts";
import { deliveredUntil, point, rows } from "./readings.ts";
import type { FixtureDevice } from "./world.ts";

export interface DayFigures {
  sum: number;
  expected: number;
  received: number;
  estimated: number;
  suspect: number;
  estimatedSum: number;
}

const known = new Map<string, DayFigures>();

export function intervalOf(device: FixtureDevice): Channel {
  const channel = device.channels[0];
  if (!channel) throw new Error("a device without channels");
  return channel;
}

/** Sums of a device's intervals on a local day. */
export function dayFigures(device: FixtureDevice, day: string, now: number): DayFigures {
  const key = `${device.device_id} ${day}`;
  const before = known.get(key);
  if (before) return before;
  const channel = intervalOf(device);
  const step = channel.interval_s ?? 3600;
  const [from, to] = [dayStart(day, device.zone) / 1000, dayStart(addDays(day, 1), device.zone) / 1000];
  const until = deliveredUntil(device, now);
  const figures: DayFigures = {
    sum: 0,
    expected: (to - from) / step,
    received: 0,
    estimated: 0,
    suspect: 0,
    estimatedSum: 0,
  };
  for (let start = from; start < to; start += step) {
    const at = start < until ? point(device, channel, start) : null;
    if (!at) continue;
    figures.sum += at.value;
    if (at.verdict === 2) {
      figures.estimated++;
      figures.estimatedSum += at.value;
    } else figures.received++;
    if (at.verdict === 1) figures.suspect++;
  }
  if (to < now / 1000) known.set(key, figures);
  return figures;
}

const ratio = (part: number, whole: number) =>
  whole === 0 ? "1" : (Math.floor((part / whole) * 1e6) / 1e6).toString();

export function completenessDay(devices: FixtureDevice[], day: string, now: number): CompletenessDay {
  const total = {
    local_day: day,
    expected: 0,
    received: 0,
    estimated: 0,
    suspect: 0,
    devices: devices.length,
    devices_incomplete: 0,
  };
  for (const device of devices) {
    const figures = dayFigures(device, day, now);
    total.expected += figures.expected;
    total.received += figures.received;
    total.estimated += figures.estimated;
    total.suspect += figures.suspect;
    if (figures.received < figures.expected) total.devices_incomplete++;
  }
  return { ...total, completeness: ratio(total.received, total.expected) };
}

export function holes(devices: FixtureDevice[], day: string, now: number) {
  return devices
    .map((device) => ({ device, figures: dayFigures(device, day, now) }))
    .filter(({ figures }) => figures.received < figures.expected)
    .map(({ device, figures }) => ({
      device_id: device.device_id,
      channel: intervalOf(device).channel,
      expected: figures.expected,
      received: figures.received,
      completeness: ratio(figures.received, figures.expected),
      zone: device.zone,
    }))
    .sort((a, b) => Number(a.completeness) - Number(b.completeness));
}

export function gaps(device: FixtureDevice, from: number, to: number, now: number) {
  const channel = intervalOf(device);
  const step = channel.interval_s ?? 3600;
  const present = new Set(
    rows(device, channel, from, to, now)
      .filter((row) => row.verdict !== 2)
      .map((row) => row.start),
  );
  const found: { from: string; to: string; intervals: number }[] = [];
  const iso = (s: number) => new Date(s * 1000).toISOString().replace(".000Z", "Z");
  let open: number | null = null;
  for (let start = Math.ceil(from / step) * step; start <= to; start += step) {
    const missing = start < to && !present.has(start);
    if (missing && open === null) open = start;
    if (!missing && open !== null) {
      found.push({ from: iso(open), to: iso(start), intervals: (start - open) / step });
      open = null;
    }
  }
  return found;
}

/** Buckets of days or months in [from, to), for several devices together. */
export function buckets(
  devices: FixtureDevice[],
  grain: "day" | "month",
  from: string,
  to: string,
  now: number,
): Bucket[] {
  const zone = devices[0]?.zone ?? "UTC";
  const today = localDay(now, zone);
  const list: Bucket[] = [];
  let at = grain === "month" ? addMonths(from, 0) : from;
  while (at < to && at <= today) {
    const next = grain === "month" ? addMonths(at, 1) : addDays(at, 1);
    const total = { sum: 0, expected: 0, received: 0, estimated: 0, suspect: 0, estimatedSum: 0 };
    for (let day = at; day < next && day < today; day = addDays(day, 1)) {
      for (const device of devices) {
        const figures = dayFigures(device, day, now);
        for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += figures[name];
      }
    }
    const [start, end] = [dayStart(at, zone), dayStart(next, zone)];
    if (total.received > 0) {
      list.push({
        start: new Date(start).toISOString(),
        local: grain === "month" ? at.slice(0, 7) : at,
        hours: String((end - start) / 3_600_000),
        quantity: milli(total.sum),
        intervals: total.received + total.estimated,
        expected: total.expected,
        completeness: ratio(total.received, total.expected),
        estimated_share: ratio(total.estimatedSum, total.sum),
        suspect_share: ratio(total.suspect, total.received),
      });
    }
    at = next;
  }
  return list;
}
