import { useRef } from "react";
import { heatLevel } from "../../charts/heat.ts";
import { percent } from "../../lib/format.ts";
import { addDays, dayText } from "../../lib/zone.ts";
import type { Month } from "./months.ts";

interface Props {
  months: Month[];
  chosen: string;
  onChoose: (day: string) => void;
}

const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

/** Months as sheets of days, coloured by completeness. One stop of the Tab key; the arrows go from day to day. */
export function Calendar({ months, chosen, onChoose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const known = months.flatMap((month) => month.cells.flatMap((cell) => (cell.figures ? [cell.day] : [])));
  const stop = known.includes(chosen) ? chosen : known.at(-1);
  function onKeyDown(event: React.KeyboardEvent) {
    const step = STEPS[event.key];
    const day = (event.target as HTMLElement).dataset.day;
    if (step === undefined || day === undefined) return;
    event.preventDefault();
    box.current?.querySelector<HTMLElement>(`button[data-day="${addDays(day, step)}"]`)?.focus();
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the arrow keys of the buttons inside end here
    <div className="calendar" ref={box} onKeyDown={onKeyDown}>
      {months.map((month) => (
        <section key={month.month} aria-label={dayText(month.month, "month")}>
          <h3>{dayText(month.month, "month")}</h3>
          <div className="days">
            {WEEKDAYS.map((name) => (
              <span key={name} className="weekday" aria-hidden="true">
                {name}
              </span>
            ))}
            {month.cells.map((cell, i) => {
              const place = i === 0 ? { gridColumnStart: month.offset + 1 } : {};
              const number = Number(cell.day.slice(8));
              if (!cell.figures) {
                return (
                  <span key={cell.day} className="day none" style={place}>
                    {number}
                  </span>
                );
              }
              const level = heatLevel(cell.figures.completeness);
              return (
                <button
                  key={cell.day}
                  type="button"
                  data-day={cell.day}
                  className={`day level-${level}`}
                  style={place}
                  tabIndex={cell.day === stop ? 0 : -1}
                  aria-pressed={cell.day === chosen}
                  aria-label={`${dayText(cell.day)}: ${percent(cell.figures.completeness)} complete`}
                  title={`${dayText(cell.day)}: ${percent(cell.figures.completeness)}`}
                  onClick={() => onChoose(cell.day)}
                >
                  {number}
                </button>
              );
            })}
          </div>
        </section>
      ))}
    </div>
  );
}
