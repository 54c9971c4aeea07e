import { useId, useState } from "react";
import { locale } from "../lib/format.ts";
import { ticks } from "./ticks.ts";
import { useWidth } from "./useWidth.ts";

export interface Bar {
  key: string;
  label: string;
  value: number | null;
  /** Value of the period compared with. */
  before: number | null;
  /** Part of the value that was estimated, 0 to 1: hatched. */
  estimated: number;
  /** All that is to be read about it. */
  text: string;
}

interface Props {
  label: string;
  bars: Bar[];
  unit: string;
  color: string;
  height?: number;
}

const LEFT = 52;
const BOTTOM = 24;
const TOP = 20;

export function BarChart({ label, bars, unit, color, height = 240 }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [active, setActive] = useState<number | null>(null);
  const pattern = useId();
  const values = bars.flatMap((bar) => [bar.value ?? 0, bar.before ?? 0]);
  const marks = ticks(Math.min(0, ...values), Math.max(0, ...values));
  const low = marks[0] ?? 0;
  const high = marks.at(-1) ?? 1;
  const inner = height - TOP - BOTTOM;
  const y = (value: number) => TOP + inner * (1 - (value - low) / (high - low || 1));
  const slot = bars.length === 0 ? 0 : (width - LEFT - 6) / bars.length;
  const every = Math.max(1, Math.ceil(64 / Math.max(slot, 1)));
  const shown = active === null ? null : bars[active];

  return (
    <div className="bar-chart" ref={ref}>
      <p className="readout num small">{shown?.text ?? "\u00a0"}</p>
      {width > 0 && (
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={label}
          onPointerLeave={() => setActive(null)}
        >
          <defs>
            <pattern
              id={pattern}
              width="6"
              height="6"
              patternUnits="userSpaceOnUse"
              patternTransform="rotate(45)"
            >
              <rect width="6" height="6" fill={color} opacity="0.35" />
              <rect width="2.4" height="6" fill={color} />
            </pattern>
          </defs>
          <text x={LEFT - 8} y={11} className="tick end">
            {unit}
          </text>
          {marks.map((mark) => (
            <g key={mark}>
              <line
                x1={LEFT}
                x2={width}
                y1={y(mark)}
                y2={y(mark)}
                stroke={mark === 0 ? "var(--border-strong)" : "var(--grid)"}
              />
              <text x={LEFT - 8} y={y(mark) + 4} className="tick end">
                {new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 2 }).format(
                  mark,
                )}
              </text>
            </g>
          ))}
          {bars.map((bar, i) => (
            <g key={bar.key} onPointerEnter={() => setActive(i)}>
              <rect
                x={LEFT + i * slot}
                y={TOP}
                width={slot}
                height={inner}
                fill={active === i ? "var(--accent-soft)" : "transparent"}
              />
              <BarShape bar={bar} x={LEFT + i * slot} slot={slot} y={y} color={color} pattern={pattern} />
              {i % every === 0 && (
                <text x={LEFT + (i + 0.5) * slot} y={height - 7} className="tick middle">
                  {bar.label}
                </text>
              )}
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}

interface ShapeProps {
  bar: Bar;
  x: number;
  slot: number;
  y: (value: number) => number;
  color: string;
  pattern: string;
}

function BarShape({ bar, x, slot, y, color, pattern }: ShapeProps) {
  const wide = Math.max(1, Math.min(slot * 0.72, 46));
  const left = x + (slot - wide) / 2;
  const rect = (from: number, to: number) => {
    const top = Math.min(y(from), y(to));
    return { y: top, height: Math.abs(y(from) - y(to)) };
  };
  const value = bar.value ?? 0;
  const solid = value * (1 - bar.estimated);
  return (
    <>
      {bar.before !== null && (
        <rect
          x={left - wide * 0.12}
          width={wide * 0.55}
          {...rect(0, bar.before)}
          fill="var(--ghost)"
          rx="1.5"
        />
      )}
      <rect
        x={bar.before === null ? left : left + wide * 0.22}
        width={bar.before === null ? wide : wide * 0.78}
        {...rect(0, solid)}
        fill={color}
        rx="1.5"
      />
      {bar.estimated > 0 && (
        <rect
          x={bar.before === null ? left : left + wide * 0.22}
          width={bar.before === null ? wide : wide * 0.78}
          {...rect(solid, value)}
          fill={`url(#${pattern})`}
        />
      )}
    </>
  );
}
