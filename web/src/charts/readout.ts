import type { Series } from "../api/contract.ts";
import { duration, number, unitText } from "../lib/format.ts";
import { offsetText, timeText } from "../lib/zone.ts";
import type { Drawn } from "./prepare.ts";

const VERDICTS = ["valid", "suspect", "estimated"];

/** The line above a chart: what is under the cursor, or what all of it is. */
export function readout(series: Series, drawn: Drawn, index: number | null): string {
  const source = index === null ? -1 : (drawn.source[index] ?? -1);
  const value = source < 0 ? null : series.value[source];
  if (value == null)
    return `${series.zone}${series.interval_s ? `, ${duration(series.interval_s)} intervals` : ""}`;
  const start = (series.start[source] ?? 0) * 1000;
  const version = series.version[source] ?? 1;
  const parts = [
    `${timeText(start, series.zone)} ${offsetText(start, series.zone)}`,
    `${number(String(value))} ${unitText(series.unit)}`,
    VERDICTS[series.verdict[source] ?? 0] ?? "",
  ];
  if (version > 1) parts.push(`version ${version}`);
  return parts.join("  ·  ");
}
