/** The part of the time axis that is shown, in epoch seconds. */
export interface View {
  min: number;
  max: number;
}

const SHORTEST = 60;

/** Moves by a share of the width; stops at the ends of the data. */
export function pan(view: View, bounds: View, share: number): View {
  const width = view.max - view.min;
  const by = Math.min(Math.max(width * share, bounds.min - view.min), bounds.max - view.max);
  return { min: view.min + by, max: view.max + by };
}

/** Zooms by a factor (below 1 is nearer) around a place between 0 and 1 of the width. */
export function zoom(view: View, bounds: View, factor: number, at = 0.5): View {
  const width = Math.min(Math.max((view.max - view.min) * factor, SHORTEST), bounds.max - bounds.min);
  const center = view.min + (view.max - view.min) * at;
  const min = Math.min(Math.max(center - width * at, bounds.min), bounds.max - width);
  return { min, max: min + width };
}
