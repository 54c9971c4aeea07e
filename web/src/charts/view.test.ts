import { expect, it } from "vitest";
import { pan, zoom } from "./view.ts";

const bounds = { min: 0, max: 1000 };

it("pans up to the ends, and keeps the width", () => {
  expect(pan({ min: 100, max: 300 }, bounds, 0.5)).toEqual({ min: 200, max: 400 });
  expect(pan({ min: 100, max: 300 }, bounds, -1)).toEqual({ min: 0, max: 200 });
  expect(pan({ min: 700, max: 900 }, bounds, 3)).toEqual({ min: 800, max: 1000 });
});

it("zooms around the pointer, never past the ends or a minute", () => {
  expect(zoom({ min: 200, max: 600 }, bounds, 0.5, 0.25)).toEqual({ min: 250, max: 450 });
  expect(zoom({ min: 200, max: 600 }, bounds, 100)).toEqual(bounds);
  expect(
    zoom({ min: 200, max: 600 }, bounds, 0.0001).max - zoom({ min: 200, max: 600 }, bounds, 0.0001).min,
  ).toBe(60);
});
