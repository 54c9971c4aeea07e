import { expect, it } from "vitest";
import { parseCsv } from "./csv.ts";

it("reads quotes, commas and line ends of every kind", () => {
  const text = '\uFEFFa,b\r\n"x, ""y""",2\n\n"two\nlines",3';
  expect(parseCsv(text)).toEqual([
    ["a", "b"],
    ['x, "y"', "2"],
    ["two\nlines", "3"],
  ]);
});

it("stops at the limit", () => {
  expect(parseCsv("1\n2\n3", 2)).toEqual([["1"], ["2"]]);
});
