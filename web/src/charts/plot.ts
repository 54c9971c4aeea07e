import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { locale } from "../lib/format.ts";
import { type ChartColors, chartColors } from "./colors.ts";
import { type ChartAlert, drawGround, drawMarks } from "./draw.ts";
import type { Drawn } from "./prepare.ts";
import { timeTexts } from "./timeAxis.ts";
import type { View } from "./view.ts";

export interface PlotOptions {
  drawn: Drawn;
  kind: string;
  zone: string;
  unit: string;
  bounds: View;
  alerts: ChartAlert[];
  height: number;
  /** Charts with one key share their cursor and the part that is shown. */
  sync: string;
  onCursor: (index: number | null) => void;
}

/** The chart itself: created once per data set, then driven without React. */
export function createPlot(element: HTMLElement, options: PlotOptions): uPlot {
  const { drawn, kind, unit, bounds, alerts, zone } = options;
  const colors = chartColors(element);
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const linear = uPlot.paths.linear?.();
  const paths = kind === "INTERVAL" ? stepped : linear;
  const line = (label: string, stroke: string, extra: Partial<uPlot.Series>): uPlot.Series => ({
    label,
    stroke,
    width: 1.6,
    points: { show: kind === "REGISTER" && drawn.x.length < 200, size: 5 },
    ...(paths ? { paths } : {}),
    ...extra,
  });

  return new uPlot(
    {
      width: element.clientWidth,
      height: options.height,
      padding: [12, 26, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      legend: { show: false },
      cursor: {
        sync: { key: options.sync, scales: ["x", null] },
        drag: { x: true, y: false, setScale: true },
        points: { size: 7 },
      },
      scales: {
        x: { time: true, min: bounds.min, max: bounds.max },
        y: { range: yRange(kind) },
      },
      axes: [
        axis(colors, {
          size: 42,
          space: 64,
          values: (_plot, splits, _axis, _space, increment) => timeTexts(splits, increment, zone),
        }),
        axis(colors, { label: unit, labelSize: 18, labelFont: font(11), size: 58, values: valuesText }),
      ],
      series: [
        {},
        line("Measured", colors.line, { fill: kind === "INTERVAL" ? faint(colors.line) : "transparent" }),
        line("Estimated", colors.estimated, { dash: [5, 4], width: 1.8 }),
      ],
      hooks: {
        drawClear: [(plot) => drawGround(plot, drawn, alerts, colors)],
        draw: [(plot) => drawMarks(plot, drawn, alerts, colors)],
        setCursor: [(plot) => options.onCursor(plot.cursor.idx ?? null)],
      },
    },
    [drawn.x, drawn.measured, drawn.estimated],
    element,
  );
}

function yRange(kind: string): uPlot.Range.Function {
  return (_plot, min, max) => {
    if (min === null || max === null) return [0, 1];
    if (kind === "INTERVAL") return [Math.min(0, min * 1.08), Math.max(max * 1.08, 0.001)];
    const room = (max - min) * 0.08 || Math.abs(max) * 0.01 || 1;
    return [min - room, max + room];
  };
}

function valuesText(_plot: uPlot, splits: number[]): string[] {
  return splits.map((value) => new Intl.NumberFormat(locale, { maximumFractionDigits: 3 }).format(value));
}

function axis(colors: ChartColors, extra: Partial<uPlot.Axis>): uPlot.Axis {
  return {
    stroke: colors.muted,
    font: font(11),
    grid: { stroke: colors.grid, width: 1 },
    ticks: { stroke: colors.grid, width: 1, size: 5 },
    ...extra,
  };
}

function font(size: number): string {
  return `${size}px "Inter Variable", system-ui, sans-serif`;
}

function faint(color: string): string {
  return color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.1)");
}
