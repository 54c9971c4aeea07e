import { describe, expect, it } from "vitest";
import { add, changePercent, compare, multiply, subtract, sum } from "./decimal.ts";

describe("decimal strings", () => {
  it("adds what floats cannot", () => {
    expect(add("0.1", "0.2")).toBe("0.3");
    expect(add("999999999999.999999", "0.000001")).toBe("1000000000000");
    expect(sum(Array.from({ length: 1000 }, () => "0.001"))).toBe("1");
  });

  it("keeps the sign below one", () => {
    expect(subtract("0.25", "0.5")).toBe("-0.25");
    expect(subtract("1.50", "1.5")).toBe("0");
    expect(add("-0.4", "0.1")).toBe("-0.3");
  });

  it("multiplies with both scales", () => {
    expect(multiply("18231.5", "0.01")).toBe("182.315");
    expect(multiply("-3", "40")).toBe("-120");
  });

  it("compares by value, not by text", () => {
    expect(compare("10", "9.9")).toBe(1);
    expect(compare("1.0", "1")).toBe(0);
    expect(compare("-2", "1")).toBe(-1);
  });

  it("rounds the change half away from zero", () => {
    expect(changePercent("200", "250")).toBe("25");
    expect(changePercent("3", "2")).toBe("-33.3");
    expect(changePercent("2000", "2001")).toBe("0.1");
    expect(changePercent("2000", "1999")).toBe("-0.1");
    expect(changePercent("0", "5")).toBeNull();
  });

  it.each(["", ".", "1e3", "abc", "1.2.3", "--1"])("refuses %j", (text) => {
    expect(() => add(text, "1")).toThrow(RangeError);
  });
});
