import { expect, it } from "vitest";
import { bucketsOf, compared, neighbour, periodOf } from "./periods.ts";

it("takes weeks from Monday, months and years whole", () => {
  expect(periodOf("week", "2026-11-26")).toEqual({ from: "2026-11-23", to: "2026-11-30" });
  expect(periodOf("month", "2026-02-28")).toEqual({ from: "2026-02-01", to: "2026-03-01" });
  expect(periodOf("year", "2026-02-28")).toEqual({ from: "2026-01-01", to: "2027-01-01" });
});

it("compares with the period before, or with the same one a year ago", () => {
  expect(compared("month", "2026-03-31", "previous")).toEqual({ from: "2026-02-01", to: "2026-03-01" });
  expect(compared("month", "2024-02-29", "year")).toEqual({ from: "2023-02-01", to: "2023-03-01" });
  expect(compared("week", "2026-11-26", "year")).toEqual({ from: "2025-11-24", to: "2025-12-01" });
  expect(compared("week", "2026-11-26", "none")).toBeNull();
});

it("goes to neighbours without leaving one out", () => {
  expect(neighbour("month", "2026-01-15", -1)).toBe("2025-12-31");
  expect(neighbour("year", "2026-01-15", 1)).toBe("2027-01-01");
});

it("has a bucket for each day or month", () => {
  expect(bucketsOf("month", periodOf("month", "2026-02-10"))).toHaveLength(28);
  expect(bucketsOf("year", periodOf("year", "2026-02-10")).at(-1)).toBe("2026-12");
});
