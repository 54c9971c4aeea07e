// Text of numbers and units. Intl takes decimal strings exactly.

export const locale = pickLocale(typeof navigator === "undefined" ? [] : navigator.languages);

/** The app speaks English: of the reader's languages the first English one decides on separators and the order of a date. */
export function pickLocale(languages: readonly string[]): string {
  return languages.find((language) => language.startsWith("en")) ?? "en-GB";
}

const UNITS: Record<string, string> = { m3: "m³", degC: "°C", kvarh: "kvarh", degF: "°F" };

export function unitText(unit: string): string {
  return UNITS[unit] ?? unit;
}

/** A decimal string with the reader's separators; all its digits unless `digits` asks for at most so many after the point. */
export function number(value: string, digits = 6): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(
    value as Intl.StringNumericLiteral,
  );
}

export function quantity(value: string, unit: string, digits?: number): string {
  return `${number(value, digits)} ${unitText(unit)}`;
}

export function count(value: number): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** "152k": for a picture with little room, never where the figure itself counts. */
export function compact(value: number): string {
  return new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 })
    .format(value)
    .toLowerCase();
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A ratio such as "0.98765" as "98.77 %". It never says 100 % of something that is not whole. */
export function percent(ratio: string, digits = 2): string {
  const value = Number(ratio);
  const factor = 10 ** digits;
  let shown = Math.round(value * 100 * factor) / factor;
  if (value < 1 && shown >= 100) shown = 100 - 1 / factor;
  if (value > 0 && shown <= 0) shown = 1 / factor;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(shown)} %`;
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) {
    const minutes = Math.floor((s % 3600) / 60);
    return minutes === 0 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 3600)} h ${minutes} min`;
  }
  const days = Math.floor(s / 86_400);
  const hours = Math.floor((s % 86_400) / 3600);
  return hours === 0 || days >= 10 ? plural(days, "day") : `${plural(days, "day")} ${hours} h`;
}

export function ago(instant: string, now: number): string {
  const seconds = (now - Date.parse(instant)) / 1000;
  if (Math.abs(seconds) < 5) return "just now";
  return seconds < 0 ? `in ${duration(-seconds)}` : `${duration(seconds)} ago`;
}
