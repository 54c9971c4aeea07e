import type uPlot from "uplot";
import type { Severity } from "../api/contract.ts";
import type { ChartColors } from "./colors.ts";
import type { Drawn } from "./prepare.ts";

export interface ChartAlert {
  from: number;
  to: number | null;
  severity: Severity;
  text: string;
}

/** Beneath the lines: hatching where nothing was measured, a tint where an alert was open. */
export function drawGround(plot: uPlot, drawn: Drawn, alerts: ChartAlert[], colors: ChartColors) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const alert of alerts) {
    const [left, right] = span(plot, alert.from, alert.to ?? Number.POSITIVE_INFINITY);
    ctx.globalAlpha = 0.09;
    ctx.fillStyle = alertColor(alert.severity, colors);
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.globalAlpha = 0.55;
  ctx.strokeStyle = colors.gap;
  ctx.lineWidth = 1;
  for (const gap of drawn.gaps) hatch(plot, ...span(plot, gap.from, gap.to));
  ctx.restore();
}

/** Above the lines: triangles at suspect values, squares at corrected ones, flags where alerts were opened. */
export function drawMarks(plot: uPlot, drawn: Drawn, alerts: ChartAlert[], colors: ChartColors) {
  const { ctx, bbox } = plot;
  const size = 4.5 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 2 * size, bbox.width, bbox.height + 4 * size);
  ctx.clip();
  ctx.setLineDash([]);
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.fillStyle = colors.suspect;
  for (const i of drawn.suspects) at(plot, drawn, i, (x, y) => triangle(ctx, x, y - size * 1.4, size));
  ctx.strokeStyle = colors.text;
  ctx.fillStyle = colors.surface;
  for (const i of drawn.corrected) {
    at(plot, drawn, i, (x, y) => {
      ctx.fillRect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
      ctx.strokeRect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
    });
  }
  for (const alert of alerts) flag(plot, alert, alertColor(alert.severity, colors), size);
  ctx.restore();
}

function span(plot: uPlot, from: number, to: number): [number, number] {
  const { left, width } = plot.bbox;
  const clamp = (x: number) => Math.min(Math.max(x, left - 2), left + width + 2);
  return [clamp(plot.valToPos(from, "x", true)), clamp(plot.valToPos(to, "x", true))];
}

function hatch({ ctx, bbox }: uPlot, left: number, right: number) {
  if (right - left < 1) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.beginPath();
  const step = 8 * devicePixelRatio;
  const first = Math.floor((left - bbox.height) / step) * step;
  for (let x = first; x < right; x += step) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

function at(plot: uPlot, drawn: Drawn, i: number, draw: (x: number, y: number) => void) {
  const x = drawn.x[i] ?? 0;
  const { min = 0, max = 0 } = plot.scales.x ?? {};
  if (x < (min ?? 0) || x > (max ?? 0)) return;
  const value = (drawn.source[i] ?? -1) < 0 ? null : (drawn.measured[i] ?? drawn.estimated[i]);
  if (value == null) return;
  draw(plot.valToPos(x, "x", true), plot.valToPos(value, "y", true));
}

function triangle(ctx: CanvasRenderingContext2D, x: number, y: number, size: number) {
  ctx.beginPath();
  ctx.moveTo(x, y + size);
  ctx.lineTo(x - size, y - size * 0.7);
  ctx.lineTo(x + size, y - size * 0.7);
  ctx.fill();
}

function flag(plot: uPlot, alert: ChartAlert, color: string, size: number) {
  const { ctx, bbox } = plot;
  const x = plot.valToPos(alert.from, "x", true);
  if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
  ctx.strokeStyle = color;
  ctx.fillStyle = color;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
  triangle(ctx, x, bbox.top, size);
}

function alertColor(severity: Severity, colors: ChartColors): string {
  return severity === "CRITICAL" ? colors.bad : severity === "WARNING" ? colors.warn : colors.info;
}
