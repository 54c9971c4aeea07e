import type { CompletenessDay } from "../../api/contract.ts";
import { addDays, addMonths, weekday } from "../../lib/zone.ts";

export interface Month {
  month: string;
  /** Empty cells before the first of the month, from Monday. */
  offset: number;
  cells: { day: string; figures: CompletenessDay | null }[];
}

/** Months from the first to the last day with figures, oldest first. */
export function months(days: CompletenessDay[]): Month[] {
  const byDay = new Map(days.map((day) => [day.local_day, day]));
  const sorted = [...byDay.keys()].sort();
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) return [];
  const result: Month[] = [];
  for (let start = addMonths(first, 0); start <= last; start = addMonths(start, 1)) {
    const cells: Month["cells"] = [];
    for (let day = start; day < addMonths(start, 1); day = addDays(day, 1)) {
      cells.push({ day, figures: byDay.get(day) ?? null });
    }
    result.push({ month: start.slice(0, 7), offset: weekday(start), cells });
  }
  return result;
}
