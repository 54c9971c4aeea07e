/** Three to five round values from 0 (or below) to at least the highest. */
export function ticks(low: number, high: number): number[] {
  const bottom = Math.min(0, low);
  const top = Math.max(high, bottom + 1e-9);
  const rough = (top - bottom) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= rough) ?? rough;
  const first = Math.floor(bottom / step);
  const last = Math.ceil(top / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
