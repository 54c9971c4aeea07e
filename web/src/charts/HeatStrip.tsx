import type { CompletenessDay } from "../api/contract.ts";
import { percent } from "../lib/format.ts";
import { dayText } from "../lib/zone.ts";
import { heatLevel } from "./heat.ts";

/** A day per cell, oldest first. Low days are also lower, so that colour is not all. */
export function HeatStrip({ days }: { days: CompletenessDay[] }) {
  const worst = days.reduce<CompletenessDay | null>(
    (w, day) => (w && Number(w.completeness) <= Number(day.completeness) ? w : day),
    null,
  );
  const first = days[0];
  const last = days.at(-1);
  if (!first || !last || !worst) return null;
  const label = `Completeness of ${days.length} days, ${dayText(first.local_day)} to ${dayText(last.local_day)}; lowest ${percent(worst.completeness)} on ${dayText(worst.local_day)}`;
  return (
    <div className="heat">
      <div className="heat-strip" role="img" aria-label={label}>
        {days.map((day) => (
          <span
            key={day.local_day}
            title={`${dayText(day.local_day)}: ${percent(day.completeness)}`}
            style={{
              background: `var(--heat-${heatLevel(day.completeness)})`,
              height: `${[30, 48, 66, 84, 100][heatLevel(day.completeness)]}%`,
            }}
          />
        ))}
      </div>
      <div className="spread small muted num">
        <span>{dayText(first.local_day)}</span>
        <span>{dayText(last.local_day)}</span>
      </div>
    </div>
  );
}
