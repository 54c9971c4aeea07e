import type { Bucket } from "../../api/contract.ts";
import type { Bar } from "../../charts/BarChart.tsx";
import { toDrawn } from "../../lib/decimal.ts";
import { percent, quantity } from "../../lib/format.ts";
import { dayText } from "../../lib/zone.ts";
import type { Period } from "./periods.ts";

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export interface Pair {
  key: string;
  now: Bucket | null;
  before: Bucket | null;
}

/** Buckets of two periods laid over each other by their position. */
export function pairs(keys: string[], now: Bucket[], keysBefore: string[], before: Bucket[]): Pair[] {
  const byKey = (buckets: Bucket[]) => new Map(buckets.map((bucket) => [bucket.local, bucket]));
  const [current, former] = [byKey(now), byKey(before)];
  return keys.map((key, i) => ({
    key,
    now: current.get(key) ?? null,
    before: former.get(keysBefore[i] ?? "") ?? null,
  }));
}

export function barLabel(period: Period, key: string, position: number): string {
  if (period === "week") return WEEKDAYS[position] ?? "";
  if (period === "year") return MONTHS[Number(key.slice(5, 7)) - 1] ?? "";
  return String(Number(key.slice(8, 10)));
}

export function toBars(list: Pair[], unit: string, period: Period): Bar[] {
  return list.map(({ key, now, before }, i) => ({
    key,
    label: barLabel(period, key, i),
    value: now && toDrawn(now.quantity),
    before: before && toDrawn(before.quantity),
    estimated: now ? Math.min(1, Number(now.estimated_share)) : 0,
    text: barText(key, now, before, unit),
  }));
}

function barText(key: string, now: Bucket | null, before: Bucket | null, unit: string): string {
  const parts = [dayText(key, key.length === 7 ? "month" : "short")];
  parts.push(now ? quantity(now.quantity, unit, 3) : "no data");
  if (now && now.hours !== "24" && key.length === 10) parts.push(`a day of ${now.hours} hours`);
  if (before) parts.push(`before: ${quantity(before.quantity, unit, 3)}`);
  if (now && Number(now.estimated_share) > 0) parts.push(`${percent(now.estimated_share, 1)} estimated`);
  if (now?.completeness && Number(now.completeness) < 1) parts.push(`${percent(now.completeness)} complete`);
  return parts.join("  ·  ");
}
