// Exact arithmetic on the decimal strings of the API. A quantity never becomes a float on its way to the screen.

interface Scaled {
  units: bigint;
  scale: number;
}

const SHAPE = /^([+-]?)(\d*)(?:\.(\d*))?$/;

function parse(text: string): Scaled {
  const match = SHAPE.exec(text.trim());
  const whole = match?.[2] ?? "";
  const part = match?.[3] ?? "";
  if (!match || whole + part === "") throw new RangeError(`not a decimal: ${text}`);
  const units = BigInt(whole + part);
  return { units: match[1] === "-" ? -units : units, scale: part.length };
}

function print({ units, scale }: Scaled): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  if (scale === 0) return sign + digits;
  const part = digits.slice(-scale).replace(/0+$/, "");
  const text = digits.slice(0, -scale) + (part === "" ? "" : `.${part}`);
  return text === "0" ? text : sign + text;
}

function align(a: Scaled, b: Scaled): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale);
  return [a.units * 10n ** BigInt(scale - a.scale), b.units * 10n ** BigInt(scale - b.scale), scale];
}

export function add(a: string, b: string): string {
  const [x, y, scale] = align(parse(a), parse(b));
  return print({ units: x + y, scale });
}

export function subtract(a: string, b: string): string {
  const [x, y, scale] = align(parse(a), parse(b));
  return print({ units: x - y, scale });
}

export function sum(values: Iterable<string>): string {
  let total = "0";
  for (const value of values) total = add(total, value);
  return total;
}

export function multiply(a: string, b: string): string {
  const x = parse(a);
  const y = parse(b);
  return print({ units: x.units * y.units, scale: x.scale + y.scale });
}

export function compare(a: string, b: string): number {
  const [x, y] = align(parse(a), parse(b));
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Change from `before` to `after` in per cent with one digit, rounded half away from zero; null when `before` is zero. */
export function changePercent(before: string, after: string): string | null {
  const [x, y] = align(parse(before), parse(after));
  if (x === 0n) return null;
  const base = x < 0n ? -x : x;
  const scaled = (y - x) * 1000n * 2n;
  const rounded = (scaled + (scaled < 0n ? -base : base)) / (base * 2n);
  return print({ units: rounded, scale: 1 });
}

/** For the height of a bar and the like, never for text. */
export function toDrawn(text: string): number {
  return Number(text);
}
