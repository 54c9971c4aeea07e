import { ChevronLeft, ChevronRight, Maximize, ZoomIn, ZoomOut } from "lucide-react";
import { useEffect, useId, useMemo, useRef } from "react";
import type { Series } from "../api/contract.ts";
import { onThemeChange } from "../app/theme.ts";
import { unitText } from "../lib/format.ts";
import { Button } from "../ui/Button.tsx";
import type { ChartAlert } from "./draw.ts";
import { type ChartControl, controlOf, listen, onKey } from "./gestures.ts";
import { createPlot } from "./plot.ts";
import { type Drawn, prepare } from "./prepare.ts";
import { readout } from "./readout.ts";
import type { View } from "./view.ts";

interface Props {
  series: Series;
  bounds: View;
  label: string;
  sync: string;
  alerts?: ChartAlert[];
  height?: number;
}

const NO_ALERTS: ChartAlert[] = [];

export default function TimeChart({ series, bounds, label, sync, alerts = NO_ALERTS, height = 300 }: Props) {
  const area = useRef<HTMLDivElement>(null);
  const line = useRef<HTMLOutputElement>(null);
  const control = useRef<ChartControl>(null);
  const hint = useId();
  const drawn: Drawn = useMemo(() => prepare(series), [series]);
  const { min, max } = bounds;

  useEffect(() => {
    const element = area.current;
    if (!element) return;
    const onCursor = (index: number | null) => {
      if (line.current) line.current.textContent = readout(series, drawn, index);
    };
    const create = () => {
      const made = createPlot(element, {
        drawn,
        kind: series.kind,
        zone: series.zone,
        unit: unitText(series.unit),
        bounds: { min, max },
        alerts,
        height,
        sync,
        onCursor,
      });
      control.current = controlOf(made, { min, max });
      return { plot: made, silence: listen(made.over, control.current) };
    };
    let current = create();
    const destroy = () => {
      current.silence();
      current.plot.destroy();
    };
    onCursor(null);
    const stopTheme = onThemeChange(() => {
      destroy();
      current = create();
    });
    const resize = new ResizeObserver(() => {
      if (element.clientWidth > 0) current.plot.setSize({ width: element.clientWidth, height });
    });
    resize.observe(element);
    return () => {
      stopTheme();
      resize.disconnect();
      destroy();
    };
  }, [series, drawn, alerts, min, max, height, sync]);

  return (
    <figure className="chart" aria-label={label}>
      <div className="chart-tools">
        <output ref={line} className="readout num small" aria-live="off" />
        <div className="row chart-buttons" role="toolbar" aria-label={`View of ${label}`}>
          <Button
            kind="quiet"
            aria-label="Earlier"
            icon={<ChevronLeft size={17} />}
            onClick={() => control.current?.pan(-0.25)}
          />
          <Button
            kind="quiet"
            aria-label="Later"
            icon={<ChevronRight size={17} />}
            onClick={() => control.current?.pan(0.25)}
          />
          <Button
            kind="quiet"
            aria-label="Zoom in"
            icon={<ZoomIn size={17} />}
            onClick={() => control.current?.zoom(0.5)}
          />
          <Button
            kind="quiet"
            aria-label="Zoom out"
            icon={<ZoomOut size={17} />}
            onClick={() => control.current?.zoom(2)}
          />
          <Button
            kind="quiet"
            aria-label="Show everything"
            icon={<Maximize size={16} />}
            onClick={() => control.current?.reset()}
          />
        </div>
      </div>
      <div
        className="plot"
        ref={area}
        role="application"
        aria-label={label}
        aria-describedby={hint}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keys of the chart need a place to go
        tabIndex={0}
        onKeyDown={(event) => {
          if (control.current && onKey(control.current, event.key)) event.preventDefault();
        }}
      />
      <figcaption id={hint} className="visually-hidden">
        Arrow keys move, plus and minus zoom, zero shows everything. The values are in the table below.
      </figcaption>
    </figure>
  );
}
