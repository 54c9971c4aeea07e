import type { Series } from "../api/contract.ts";

const ESTIMATED = 2;
const SUSPECT = 1;

/** Columns as they are drawn. An interval is a step from its start to its end; where nothing was measured there is nothing. */
export interface Drawn {
  x: number[];
  /** Measured: valid and suspect. */
  measured: (number | null)[];
  /** Estimated, drawn in another colour and dashed. */
  estimated: (number | null)[];
  /** Position in the series of each drawn point; -1 where a point only ends a step. */
  source: number[];
  suspects: number[];
  corrected: number[];
  gaps: { from: number; to: number }[];
}

export function prepare(series: Series): Drawn {
  const steps = series.kind === "INTERVAL" && series.interval_s !== null;
  const length = steps ? (series.interval_s ?? 0) : 0;
  const out: Drawn = {
    x: [],
    measured: [],
    estimated: [],
    source: [],
    suspects: [],
    corrected: [],
    gaps: [],
  };
  const put = (x: number, measured: number | null, estimated: number | null, source: number) => {
    out.x.push(x);
    out.measured.push(measured);
    out.estimated.push(estimated);
    out.source.push(source);
  };

  let before: { end: number; value: number; estimated: boolean } | null = null;
  for (let i = 0; i < series.start.length; i++) {
    const start = series.start[i] ?? 0;
    const value = series.value[i] ?? null;
    if (value === null) continue;
    const isEstimated = series.verdict[i] === ESTIMATED;
    const joined: boolean = before !== null && (!steps || start <= before.end);
    if (before && !joined) {
      put(before.end, before.estimated ? null : before.value, before.estimated ? before.value : null, -1);
      if (start > before.end + 1) put(before.end + 1, null, null, -1);
      out.gaps.push({ from: before.end, to: start });
    }
    // Where one line hands over to the other, the first is drawn up to here.
    const handOver: number | null =
      joined && before && before.estimated !== isEstimated ? before.value : null;
    if (isEstimated) put(start, handOver, value, i);
    else put(start, value, handOver, i);
    if (series.verdict[i] === SUSPECT) out.suspects.push(out.x.length - 1);
    if ((series.version[i] ?? 1) > 1) out.corrected.push(out.x.length - 1);
    before = { end: start + length, value, estimated: isEstimated };
  }
  if (before && steps)
    put(before.end, before.estimated ? null : before.value, before.estimated ? before.value : null, -1);
  return out;
}
