import { expect, it } from "vitest";
import { chosenCards, defaultCards } from "./cards.ts";

it("keeps the user's order and drops what is unknown, double or not the role's", () => {
  expect(chosenCards("customer", ["alerts", "freshness", "gone", "alerts", "fleet"])).toEqual([
    "alerts",
    "fleet",
  ]);
});

it("falls back to the role's cards", () => {
  expect(chosenCards("analyst", [])).toEqual(defaultCards("analyst"));
  expect(chosenCards("analyst", ["gone"])).toEqual(defaultCards("analyst"));
});
