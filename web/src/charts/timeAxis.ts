import { locale } from "../lib/format.ts";

const DAY = 86_400;

/** Texts of the time axis in the zone: the time of day, and the date beneath where it changes. */
export function timeTexts(splits: number[], increment: number, zone: string): string[] {
  const time = format(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const date = format(zone, { day: "numeric", month: "short" });
  const month = format(zone, { month: "short", year: "numeric" });
  if (increment >= 27 * DAY) return splits.map((at) => month(at));
  if (increment >= DAY) return splits.map((at) => date(at));
  let before = "";
  return splits.map((at) => {
    const day = date(at);
    const changed = day !== before;
    before = day;
    return changed ? `${time(at)}\n${day}` : time(at);
  });
}

function format(zone: string, options: Intl.DateTimeFormatOptions): (seconds: number) => string {
  const made = new Intl.DateTimeFormat(locale, { timeZone: zone, ...options });
  return (seconds) => made.format(seconds * 1000);
}
