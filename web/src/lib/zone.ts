// Local days and times in the zone of a site. A day is "YYYY-MM-DD"; it may have 23, 24 or 25 hours.
import { locale } from "./format.ts";

const parts = new Map<string, Intl.DateTimeFormat>();

function partsOf(zone: string): Intl.DateTimeFormat {
  let format = parts.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    parts.set(zone, format);
  }
  return format;
}

/** Seconds that the zone is ahead of UTC at the instant (milliseconds). */
export function offset(ms: number, zone: string): number {
  const got: Record<string, number> = {};
  for (const part of partsOf(zone).formatToParts(ms)) got[part.type] = Number(part.value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = got;
  return Math.round(
    (Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000) / 1000,
  );
}

export function localDay(ms: number, zone: string): string {
  return new Date(ms + offset(ms, zone) * 1000).toISOString().slice(0, 10);
}

/** The instant at which the local day begins. */
export function dayStart(day: string, zone: string): number {
  const naive = Date.parse(`${day}T00:00:00Z`);
  const early = naive - offset(naive - 86_400_000, zone) * 1000;
  const late = naive - offset(naive + 86_400_000, zone) * 1000;
  const fits = [early, late].filter((ms) => localDay(ms, zone) === day && localDay(ms - 1, zone) !== day);
  return fits[0] ?? Math.max(early, late);
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000);
}

/** First day of the month `months` away from the one the day is in. */
export function addMonths(day: string, months: number): string {
  const [year = 0, month = 1] = day.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1 + months, 1)).toISOString().slice(0, 10);
}

/** 0 for Monday to 6 for Sunday. */
export function weekday(day: string): number {
  return (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7;
}

export function dayText(day: string, style: "short" | "long" | "month" = "short"): string {
  const options: Intl.DateTimeFormatOptions =
    style === "month"
      ? { month: "long", year: "numeric" }
      : style === "long"
        ? { weekday: "long", day: "numeric", month: "long", year: "numeric" }
        : { day: "numeric", month: "short", year: "numeric" };
  const date = new Date(`${day.length === 7 ? `${day}-01` : day}T00:00:00Z`);
  return date.toLocaleDateString(locale, { ...options, timeZone: "UTC" });
}

/** "12 Mar 2026, 14:30" in the zone; the zone itself is said beside it. */
export function timeText(instant: string | number, zone: string, seconds = false): string {
  return new Intl.DateTimeFormat(locale, {
    timeZone: zone,
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds ? { second: "2-digit" } : {}),
    hourCycle: "h23",
  }).format(new Date(instant));
}

/** "UTC+01:00" of the zone at the instant: it tells the two 01:30 of an autumn night apart. */
export function offsetText(instant: string | number, zone: string): string {
  const minutes = Math.round(offset(new Date(instant).getTime(), zone) / 60);
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  const hh = String(Math.floor(size / 60)).padStart(2, "0");
  const mm = String(size % 60).padStart(2, "0");
  return `UTC${minutes < 0 ? "−" : "+"}${hh}:${mm}`;
}
