import { ChevronLeft, ChevronRight } from "lucide-react";
import { addDays, dayText } from "../../lib/zone.ts";
import { Button } from "../../ui/Button.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { type DayRange, SPANS, type Span, shifted } from "./range.ts";

interface Props {
  span: Span;
  lastDay: string;
  range: DayRange;
  zone: string;
  onChange: (next: { span: Span; lastDay: string }) => void;
}

export function RangePicker({ span, lastDay, range, zone, onChange }: Props) {
  const until = addDays(range.to, -1);
  return (
    <section className="range" aria-label="Time range">
      <Segmented
        label="Length"
        value={span}
        options={SPANS}
        onChange={(value) => onChange({ span: value, lastDay })}
      />
      <div className="row">
        <Button
          aria-label="Earlier range"
          icon={<ChevronLeft size={17} />}
          onClick={() => onChange({ span, lastDay: shifted(span, lastDay, -1) })}
        />
        <Button
          aria-label="Later range"
          icon={<ChevronRight size={17} />}
          onClick={() => onChange({ span, lastDay: shifted(span, lastDay, 1) })}
        />
        <label className="visually-hidden" htmlFor="last-day">
          Last day of the range
        </label>
        <input
          id="last-day"
          type="date"
          value={lastDay}
          onChange={(event) => event.target.value && onChange({ span, lastDay: event.target.value })}
        />
      </div>
      <p className="num">
        <strong>
          {range.from === until ? dayText(until) : `${dayText(range.from)} to ${dayText(until)}`}
        </strong>{" "}
        <span className="muted">in {zone}</span>
      </p>
    </section>
  );
}
