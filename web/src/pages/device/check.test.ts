import { expect, it } from "vitest";
import type { Bucket, Reading } from "../../api/contract.ts";
import { registerCheck } from "./check.ts";

const read = (start: string, value: string) => ({ start, value }) as Reading;
const day = (local: string, quantity: string, completeness = "1") =>
  ({ local, start: `${local}T00:00:00Z`, quantity, completeness }) as Bucket;

const days = [day("2026-01-01", "10.1"), day("2026-01-02", "9.9", "0.5"), day("2026-01-03", "30")];

it("compares the way of the dial with the days between, exactly", () => {
  const reads = [read("2026-01-03T00:00:00Z", "120"), read("2026-01-01T00:00:00Z", "100")];
  expect(registerCheck(reads, days, "1")).toEqual([
    {
      from: "2026-01-01",
      to: "2026-01-03",
      moved: "20",
      summed: "20",
      difference: "0",
      completeness: "0.5",
      agrees: true,
    },
  ]);
});

it("allows two units of the dial, times the multiplier", () => {
  const reads = [read("2026-01-01T00:00:00Z", "100"), read("2026-01-02T00:00:00Z", "101")];
  expect(registerCheck(reads, days, "40")[0]).toMatchObject({
    moved: "40",
    difference: "-29.9",
    agrees: true,
  });
  expect(registerCheck(reads, days, "1")[0]).toMatchObject({ moved: "1", difference: "9.1", agrees: false });
});

it("leaves out reads that are not on the beginning of a day", () => {
  expect(
    registerCheck([read("2026-01-01T00:00:00Z", "1"), read("2026-01-02T07:00:00Z", "2")], days, "1"),
  ).toEqual([]);
});
