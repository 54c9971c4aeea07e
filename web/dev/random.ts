/** A number from 0 to 1 that depends on the parts only. */
export function chance(...parts: (string | number)[]): number {
  let hash = 2166136261;
  for (const c of parts.join("|")) hash = Math.imul(hash ^ c.charCodeAt(0), 16777619);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 2246822519);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 3266489917);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4294967296;
}

export function pick<T>(list: readonly T[], at: number): T {
  const item = list[Math.floor(at * list.length) % list.length];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

/** Thousandths as a decimal string. */
export function milli(value: number): string {
  const whole = Math.round(value);
  const digits = String(Math.abs(whole)).padStart(4, "0");
  return `${whole < 0 ? "-" : ""}${digits.slice(0, -3)}.${digits.slice(-3)}`;
}
