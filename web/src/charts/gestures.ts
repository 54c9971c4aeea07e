import type uPlot from "uplot";
import { pan, type View, zoom } from "./view.ts";

/** What a chart can be asked to do, by button, key, wheel or finger. */
export interface ChartControl {
  pan(share: number): void;
  zoom(factor: number, at?: number): void;
  reset(): void;
}

export function controlOf(plot: uPlot, bounds: View): ChartControl {
  const view = (): View => ({ min: plot.scales.x?.min ?? bounds.min, max: plot.scales.x?.max ?? bounds.max });
  return {
    pan: (share) => plot.setScale("x", pan(view(), bounds, share)),
    zoom: (factor, at) => plot.setScale("x", zoom(view(), bounds, factor, at)),
    reset: () => plot.setScale("x", bounds),
  };
}

const KEYS: Record<string, (control: ChartControl) => void> = {
  ArrowLeft: (control) => control.pan(-0.1),
  ArrowRight: (control) => control.pan(0.1),
  "+": (control) => control.zoom(0.7),
  "=": (control) => control.zoom(0.7),
  "-": (control) => control.zoom(1 / 0.7),
  "0": (control) => control.reset(),
};

/** Does what the key means for a chart; false when it means nothing. */
export function onKey(control: ChartControl, key: string): boolean {
  KEYS[key]?.(control);
  return key in KEYS;
}

/** Wheel with Ctrl or ⌘ zooms, a sideways wheel pans; one finger pans, two zoom. A plain wheel scrolls the page. */
export function listen(area: HTMLElement, control: ChartControl): () => void {
  const wheel = (event: WheelEvent) => {
    const width = area.clientWidth || 1;
    if (event.ctrlKey || event.metaKey) {
      control.zoom(
        Math.exp(event.deltaY * 0.003),
        (event.clientX - area.getBoundingClientRect().left) / width,
      );
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) control.pan(event.deltaX / width);
    else return;
    event.preventDefault();
  };

  const fingers = new Map<number, number>();
  const down = (event: PointerEvent) => {
    if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientX);
  };
  const move = (event: PointerEvent) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, event.clientX);
    if (other === undefined) control.pan((before - event.clientX) / (area.clientWidth || 1));
    else control.zoom(Math.max(8, Math.abs(before - other)) / Math.max(8, Math.abs(event.clientX - other)));
  };
  const up = (event: PointerEvent) => fingers.delete(event.pointerId);

  area.addEventListener("wheel", wheel, { passive: false });
  area.addEventListener("pointerdown", down);
  area.addEventListener("pointermove", move);
  area.addEventListener("pointerup", up);
  area.addEventListener("pointercancel", up);
  return () => {
    area.removeEventListener("wheel", wheel);
    area.removeEventListener("pointerdown", down);
    area.removeEventListener("pointermove", move);
    area.removeEventListener("pointerup", up);
    area.removeEventListener("pointercancel", up);
  };
}
