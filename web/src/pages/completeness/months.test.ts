import { expect, it } from "vitest";
import type { CompletenessDay } from "../../api/contract.ts";
import { months } from "./months.ts";

const day = (local_day: string) => ({ local_day, completeness: "1" }) as CompletenessDay;

it("shows whole months, and days without figures as such", () => {
  const result = months([day("2026-02-27"), day("2026-03-02")]);
  expect(result.map((month) => month.month)).toEqual(["2026-02", "2026-03"]);
  expect(result[0]?.cells).toHaveLength(28);
  expect(result[0]?.offset).toBe(6);
  expect(result[1]?.cells.map((cell) => cell.figures !== null).indexOf(true)).toBe(1);
});

it("is empty without days", () => {
  expect(months([])).toEqual([]);
});
