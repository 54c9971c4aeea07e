import { addDays, addMonths, dayStart, localDay } from "../../lib/zone.ts";

export type Span = "1d" | "7d" | "30d" | "12m";

export const SPANS: { value: Span; text: string }[] = [
  { value: "1d", text: "Day" },
  { value: "7d", text: "Week" },
  { value: "30d", text: "30 days" },
  { value: "12m", text: "Year" },
];

/** Whole local days, half open: [from, to). */
export interface DayRange {
  from: string;
  to: string;
}

/** The range of a span that ends with (and includes) the local day. */
export function rangeOf(span: Span, lastDay: string): DayRange {
  const to = addDays(lastDay, 1);
  switch (span) {
    case "1d":
      return { from: lastDay, to };
    case "7d":
      return { from: addDays(to, -7), to };
    case "30d":
      return { from: addDays(to, -30), to };
    case "12m":
      return { from: addMonths(lastDay, -11), to };
  }
}

/** The last day of the neighbouring range: `direction` -1 is earlier. */
export function shifted(span: Span, lastDay: string, direction: 1 | -1): string {
  if (span === "12m") return addDays(addMonths(lastDay, direction * 12 + 1), -1);
  return addDays(lastDay, direction * { "1d": 1, "7d": 7, "30d": 30 }[span]);
}

export function instants(range: DayRange, zone: string): { from: string; to: string } {
  const iso = (day: string) => new Date(dayStart(day, zone)).toISOString().replace(".000Z", "Z");
  return { from: iso(range.from), to: iso(range.to) };
}

/** The local day that a view starts with: of the newest data, or today. */
export function newestDay(newest: string | undefined, zone: string, now: number): string {
  return localDay(newest === undefined ? now : Date.parse(newest), zone);
}
