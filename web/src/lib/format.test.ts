import { describe, expect, it } from "vitest";
import { ago, duration, number, percent, pickLocale, quantity } from "./format.ts";

describe("numbers", () => {
  it("shows every digit of a quantity", () => {
    expect(number("123456789012.345678")).toBe("123,456,789,012.345678");
    expect(quantity("0.000001", "m3")).toBe("0.000001 m³");
  });

  it("rounds only where asked", () => {
    expect(number("2.345678", 2)).toBe("2.35");
  });

  it("never rounds up to whole, nor down to nothing", () => {
    expect(percent("0.99999")).toBe("99.99 %");
    expect(percent("1")).toBe("100 %");
    expect(percent("0.00001")).toBe("0.01 %");
    expect(percent("0")).toBe("0 %");
    expect(percent("0.5", 0)).toBe("50 %");
  });
});

describe("spans", () => {
  it.each([
    [12, "12 s"],
    [150, "2 min"],
    [3600, "1 h"],
    [9000, "2 h 30 min"],
    [93_600, "1 day 2 h"],
    [1_900_000, "21 days"],
  ])("%i s is %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  it("tells the past from the future", () => {
    const now = Date.parse("2026-01-01T00:01:00Z");
    expect(ago("2026-01-01T00:00:00Z", now)).toBe("1 min ago");
    expect(ago("2026-01-01T00:00:58Z", now)).toBe("just now");
    expect(ago("2026-01-01T00:01:02Z", now)).toBe("just now");
    expect(ago("2026-01-01T00:02:00Z", now)).toBe("in 1 min");
  });
});

it("keeps to English, of the reader's kind", () => {
  expect(pickLocale(["de-DE", "en-US"])).toBe("en-US");
  expect(pickLocale(["fr-FR"])).toBe("en-GB");
});
