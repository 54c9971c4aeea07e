import { addDays, addMonths, weekday } from "../../lib/zone.ts";

export type Period = "week" | "month" | "year";
export type Against = "previous" | "year" | "none";

export interface Days {
  from: string;
  to: string;
}

/** The period (half open local days) that holds the day. */
export function periodOf(period: Period, day: string): Days {
  if (period === "week") {
    const from = addDays(day, -weekday(day));
    return { from, to: addDays(from, 7) };
  }
  if (period === "month") return { from: addMonths(day, 0), to: addMonths(day, 1) };
  const year = Number(day.slice(0, 4));
  return { from: `${year}-01-01`, to: `${year + 1}-01-01` };
}

/** A day in the period before or after. */
export function neighbour(period: Period, day: string, direction: 1 | -1): string {
  const { from, to } = periodOf(period, day);
  return direction === 1 ? to : addDays(from, -1);
}

/** The period to compare with; a week of the last year begins on the same weekday, 52 weeks before. */
export function compared(period: Period, day: string, against: Against): Days | null {
  if (against === "none") return null;
  if (against === "previous") return periodOf(period, neighbour(period, day, -1));
  if (period === "week") return periodOf("week", addDays(day, -364));
  return periodOf(period, addMonths(day, -12));
}

/** Keys of the buckets, in order. Compared periods are laid over each other by position. */
export function bucketsOf(period: Period, { from, to }: Days): string[] {
  const keys: string[] = [];
  for (let at = from; at < to; at = period === "year" ? addMonths(at, 1) : addDays(at, 1)) {
    keys.push(period === "year" ? at.slice(0, 7) : at);
  }
  return keys;
}
