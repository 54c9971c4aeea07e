import { expect, it } from "vitest";
import type { Bucket } from "../../api/contract.ts";
import { pairs, toBars } from "./bars.ts";

const bucket = (local: string, quantity: string, more: Partial<Bucket> = {}): Bucket => ({
  start: `${local}T00:00:00Z`,
  local,
  hours: "24",
  quantity,
  intervals: 48,
  expected: 48,
  completeness: "1",
  estimated_share: "0",
  suspect_share: "0",
  ...more,
});

it("lays periods of unequal length over each other by position", () => {
  const list = pairs(
    ["2026-03-01", "2026-03-02"],
    [bucket("2026-03-02", "5")],
    ["2026-02-01"],
    [bucket("2026-02-01", "4")],
  );
  expect(list.map((pair) => [pair.now?.quantity ?? null, pair.before?.quantity ?? null])).toEqual([
    [null, "4"],
    ["5", null],
  ]);
});

it("tells a missing day from a day of zero, and a short day from others", () => {
  const list = pairs(
    ["2026-03-28", "2026-03-29"],
    [bucket("2026-03-29", "0", { hours: "23", estimated_share: "0.25" })],
    [],
    [],
  );
  const bars = toBars(list, "kWh", "month");
  expect(bars.map((bar) => bar.value)).toEqual([null, 0]);
  expect(bars[0]?.text).toContain("no data");
  expect(bars[1]?.text).toContain("a day of 23 hours");
  expect(bars[1]?.text).toContain("25 % estimated");
  expect(bars[1]?.estimated).toBe(0.25);
});
