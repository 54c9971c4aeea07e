import type { Bucket, Reading } from "../../api/contract.ts";
import { add, compare, multiply, subtract, sum } from "../../lib/decimal.ts";

export interface CheckRow {
  /** Local days, half open. */
  from: string;
  to: string;
  moved: string;
  summed: string;
  difference: string;
  /** Of the days between, the worst. */
  completeness: string | null;
  agrees: boolean;
}

/** Two units of the dial, as utilities allow: it was read to a whole unit at both ends. */
const TOLERANCE = "2";

/** Compares each pair of dial reads that lie on the beginnings of days with the days between them. */
export function registerCheck(reads: Reading[], days: Bucket[], multiplier: string): CheckRow[] {
  const beginnings = new Map(days.map((day) => [Date.parse(day.start), day.local]));
  const bounds = reads.flatMap((read) => {
    const day = beginnings.get(Date.parse(read.start));
    return day === undefined ? [] : [{ day, value: read.value }];
  });
  bounds.sort((a, b) => a.day.localeCompare(b.day));
  return bounds.slice(1).flatMap((end, i) => {
    const begin = bounds[i];
    const between = days.filter((day) => begin && day.local >= begin.day && day.local < end.day);
    if (!begin || between.length === 0) return [];
    const moved = multiply(subtract(end.value, begin.value), multiplier);
    const summed = sum(between.map((day) => day.quantity));
    const difference = subtract(summed, moved);
    return [
      {
        from: begin.day,
        to: end.day,
        moved,
        summed,
        difference,
        completeness: worst(between),
        agrees: withinTolerance(difference, multiplier),
      },
    ];
  });
}

function withinTolerance(difference: string, multiplier: string): boolean {
  const size = compare(difference, "0") < 0 ? subtract("0", difference) : difference;
  return compare(size, add("0", multiply(TOLERANCE, multiplier))) <= 0;
}

function worst(days: Bucket[]): string | null {
  return days.reduce<string | null>((low, day) => {
    if (day.completeness === null) return low;
    return low === null || compare(day.completeness, low) < 0 ? day.completeness : low;
  }, null);
}
