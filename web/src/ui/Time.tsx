import { ago } from "../lib/format.ts";
import { offsetText, timeText } from "../lib/zone.ts";
import { useNow } from "./useNow.ts";

interface Props {
  at: string;
  zone: string;
  seconds?: boolean;
}

/** A time in a site's zone, with its distance from UTC, so that it can be read without asking where. */
export function Time({ at, zone, seconds = false }: Props) {
  const offset = offsetText(at, zone);
  return (
    <time dateTime={at} title={`${zone}, ${at}`} className="time">
      {timeText(at, zone, seconds)} <span className="muted offset">{offset}</span>
    </time>
  );
}

/** How long ago, by the clock of this computer; the exact time is in the title. */
export function Ago({ at }: { at: string }) {
  const now = useNow();
  return (
    <time dateTime={at} title={at}>
      {ago(at, now)}
    </time>
  );
}
