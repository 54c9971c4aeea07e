import { expect, it } from "vitest";
import { instants, newestDay, rangeOf, shifted } from "./range.ts";

it("includes the last day, in whole local days", () => {
  expect(rangeOf("1d", "2026-03-29")).toEqual({ from: "2026-03-29", to: "2026-03-30" });
  expect(rangeOf("7d", "2026-03-03")).toEqual({ from: "2026-02-25", to: "2026-03-04" });
  expect(rangeOf("12m", "2026-03-15")).toEqual({ from: "2025-04-01", to: "2026-03-16" });
});

it("asks for the 23 hours of a short day", () => {
  const { from, to } = instants(rangeOf("1d", "2026-03-29"), "Europe/Berlin");
  expect(from).toBe("2026-03-28T23:00:00Z");
  expect(to).toBe("2026-03-29T22:00:00Z");
});

it("moves to neighbours without overlap", () => {
  const last = shifted("7d", "2026-03-03", -1);
  expect(rangeOf("7d", last).to).toBe(rangeOf("7d", "2026-03-03").from);
  expect(shifted("12m", "2026-03-15", -1)).toBe("2025-03-31");
});

it("starts at the newest data, in the zone", () => {
  expect(newestDay("2026-03-01T02:00:00Z", "America/Chicago", 0)).toBe("2026-02-28");
  expect(newestDay(undefined, "UTC", Date.parse("2026-05-05T10:00:00Z"))).toBe("2026-05-05");
});
