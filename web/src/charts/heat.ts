/** Lower bounds of the five classes of completeness, from the worst. */
export const HEAT_BOUNDS = [0, 0.9, 0.97, 0.99, 0.999];

export const HEAT_TEXTS = ["below 90 %", "from 90 %", "from 97 %", "from 99 %", "from 99.9 %"];

export function heatLevel(completeness: string): number {
  const value = Number(completeness);
  let level = 0;
  for (let i = 0; i < HEAT_BOUNDS.length; i++) if (value >= (HEAT_BOUNDS[i] ?? 0)) level = i;
  return level;
}
