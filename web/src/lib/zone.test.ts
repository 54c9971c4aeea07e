import { describe, expect, it } from "vitest";
import {
  addDays,
  addMonths,
  dayStart,
  daysBetween,
  localDay,
  offsetText,
  timeText,
  weekday,
} from "./zone.ts";

const hours = (day: string, zone: string) =>
  (dayStart(addDays(day, 1), zone) - dayStart(day, zone)) / 3_600_000;

describe("local days", () => {
  it("begin at the zone's midnight", () => {
    expect(new Date(dayStart("2026-07-01", "Europe/London")).toISOString()).toBe("2026-06-30T23:00:00.000Z");
    expect(new Date(dayStart("2026-01-01", "America/Chicago")).toISOString()).toBe(
      "2026-01-01T06:00:00.000Z",
    );
    expect(new Date(dayStart("2026-01-01", "Pacific/Auckland")).toISOString()).toBe(
      "2025-12-31T11:00:00.000Z",
    );
  });

  it("have 23 and 25 hours when the clocks change", () => {
    expect(hours("2026-03-29", "Europe/Berlin")).toBe(23);
    expect(hours("2026-10-25", "Europe/Berlin")).toBe(25);
    expect(hours("2026-06-01", "Europe/Berlin")).toBe(24);
    expect(hours("2026-11-01", "America/Chicago")).toBe(25);
  });

  it("begin at 01:00 where midnight is skipped", () => {
    const start = dayStart("2026-04-24", "Africa/Cairo");
    expect(new Date(start).toISOString()).toBe("2026-04-23T22:00:00.000Z");
    expect(localDay(start, "Africa/Cairo")).toBe("2026-04-24");
    expect(localDay(start - 1, "Africa/Cairo")).toBe("2026-04-23");
  });

  it("are of the zone, not of UTC", () => {
    expect(localDay(Date.parse("2026-01-01T02:00:00Z"), "America/Chicago")).toBe("2025-12-31");
  });
});

it("tells the two half past one of an autumn night apart", () => {
  expect(timeText("2026-10-25T00:30:00Z", "Europe/London")).toBe(
    timeText("2026-10-25T01:30:00Z", "Europe/London"),
  );
  expect(offsetText("2026-10-25T00:30:00Z", "Europe/London")).toBe("UTC+01:00");
  expect(offsetText("2026-10-25T01:30:00Z", "Europe/London")).toBe("UTC");
});

it("counts days and months over the end of a year", () => {
  expect(daysBetween("2025-12-30", "2026-01-02")).toBe(3);
  expect(addMonths("2026-01-31", -1)).toBe("2025-12-01");
  expect(addMonths("2025-12-05", 1)).toBe("2026-01-01");
  expect(weekday("2026-11-26")).toBe(3);
});
