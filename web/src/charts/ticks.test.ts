import { expect, it } from "vitest";
import { ticks } from "./ticks.ts";

it.each([
  [0, 9.3, [0, 2.5, 5, 7.5, 10]],
  [0, 1, [0, 0.25, 0.5, 0.75, 1]],
  [0, 4200, [0, 2000, 4000, 6000]],
  [-3, 5, [-4, -2, 0, 2, 4, 6]],
])("covers %f to %f with round steps", (low, high, expected) => expect(ticks(low, high)).toEqual(expected));

it("copes with nothing but zeros", () => {
  expect(ticks(0, 0).at(0)).toBe(0);
});
