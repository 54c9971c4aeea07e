import { HEAT_TEXTS } from "../../charts/heat.ts";

export function HeatLegend() {
  return (
    <ul className="legend small muted" aria-label="Classes of completeness">
      {HEAT_TEXTS.map((text, level) => (
        <li key={text}>
          <span className="swatch" style={{ background: `var(--heat-${level})` }} />
          {text}
        </li>
      ))}
    </ul>
  );
}
