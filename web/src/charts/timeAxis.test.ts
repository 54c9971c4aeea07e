import { expect, it } from "vitest";
import { timeTexts } from "./timeAxis.ts";

const at = (text: string) => Date.parse(text) / 1000;

it("says the date where it changes, in the zone", () => {
  const splits = ["2026-07-01T16:00:00Z", "2026-07-01T22:00:00Z", "2026-07-02T04:00:00Z"].map(at);
  expect(timeTexts(splits, 6 * 3600, "Europe/Berlin")).toEqual(["18:00\n1 Jul", "00:00\n2 Jul", "06:00"]);
});

it("says days and months when more is shown", () => {
  expect(timeTexts([at("2026-07-01T00:00:00Z")], 86_400, "UTC")).toEqual(["1 Jul"]);
  expect(timeTexts([at("2026-07-01T00:00:00Z")], 2_678_400, "UTC")).toEqual(["Jul 2026"]);
});
