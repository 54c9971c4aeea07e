import type { Pipeline, Stage } from "../src/api/contract.ts";
import { chance } from "./random.ts";

export function makePipeline(now: number): Pipeline {
  const iso = (secondsAgo: number) => new Date(now - secondsAgo * 1000).toISOString();
  const wave = (name: string, low: number, high: number) =>
    low + (high - low) * chance(name, Math.floor(now / 5000));
  const stage = (
    name: Stage["stage"],
    label: string,
    age: number,
    lag: number | null,
    rate: number,
    more: Partial<Stage> = {},
  ): Stage => ({
    stage: name,
    label,
    newest_at: iso(age),
    freshness_s: Math.round(age),
    lag,
    rate_per_s: rate.toFixed(1),
    state: "ok",
    detail: "",
    runbook: null,
    ...more,
  });
  const minute = (now / 1000) % 60;
  return {
    as_of: new Date(now).toISOString(),
    stages: [
      stage("raw", "Raw", 0.4, null, wave("raw", 310, 360), {
        runbook: "/docs/runbooks/ingest-unavailable.md",
      }),
      stage("validated", "Validated", 0.9, Math.round(wave("lag", 0, 40)), wave("validated", 310, 360)),
      stage("lake", "Lake", 12 + minute, Math.round(minute * 330), wave("lake", 290, 340)),
      stage("warehouse", "Warehouse", 480, 152_400, wave("warehouse", 180, 210), {
        state: "late",
        detail: "Two loads are waiting: the warehouse refused a connection at 4 tries.",
        runbook: "/docs/runbooks/loader-conflicts.md",
      }),
      stage("facts", "Facts", 1500, 152_400, 96.4, { runbook: "/docs/runbooks/loader-facts.md" }),
      stage("live", "Live status", 1.1, 3, wave("live", 310, 360)),
    ],
    missing_partitions: [],
    loads: Array.from({ length: 20 }, (_, i) => ({
      at: iso(480 + i * 300),
      table: i % 5 === 4 ? "rejected" : "readings",
      snapshot_id: String(5_630_114_882_934_771_200n + BigInt(i * 7919)),
      rows: Math.round(90_000 + 20_000 * chance("rows", i)),
      files: 3 + (i % 4),
      state: i === 6 ? "quarantined" : "loaded",
      duration_ms: Math.round(700 + 2400 * chance("took", i)),
    })),
    rejected: [
      { code: "UNKNOWN_DEVICE", count: 412 },
      { code: "FUTURE_TIMESTAMP", count: 96 },
      { code: "UNIT_MISMATCH", count: 41 },
      { code: "MALFORMED", count: 12 },
    ],
    reject_ratio: "0.000213",
    dead_letters: 3,
  };
}
