import { expect, it } from "vitest";
import type { Series } from "../api/contract.ts";
import { prepare } from "./prepare.ts";

function series(points: [number, number | null, number?, number?][], kind = "INTERVAL"): Series {
  return {
    zone: "Europe/London",
    unit: "kWh",
    kind,
    interval_s: kind === "INTERVAL" ? 1800 : null,
    start: points.map((p) => p[0]),
    value: points.map((p) => p[1]),
    verdict: points.map((p) => p[2] ?? 0),
    version: points.map((p) => p[3] ?? 1),
    truncated: false,
  };
}

it("ends the last step after its interval", () => {
  const drawn = prepare(series([[0, 5]]));
  expect(drawn.x).toEqual([0, 1800]);
  expect(drawn.measured).toEqual([5, 5]);
  expect(drawn.source).toEqual([0, -1]);
});

it("draws a gap as a gap, after a full last step", () => {
  const drawn = prepare(
    series([
      [0, 5],
      [7200, 6],
    ]),
  );
  expect(drawn.gaps).toEqual([{ from: 1800, to: 7200 }]);
  expect(drawn.x).toEqual([0, 1800, 1801, 7200, 9000]);
  expect(drawn.measured).toEqual([5, 5, null, 6, 6]);
});

it("treats a missing value like a missing interval", () => {
  const drawn = prepare(
    series([
      [0, 5],
      [1800, null],
      [3600, 6],
    ]),
  );
  expect(drawn.gaps).toEqual([{ from: 1800, to: 3600 }]);
});

it("hands over between measured and estimated without a hole or a false value", () => {
  const drawn = prepare(
    series([
      [0, 5],
      [1800, 7, 2],
      [3600, 6],
    ]),
  );
  expect(drawn.x).toEqual([0, 1800, 3600, 5400]);
  expect(drawn.measured).toEqual([5, 5, 6, 6]);
  expect(drawn.estimated).toEqual([null, 7, 7, null]);
  expect(drawn.source).toEqual([0, 1, 2, -1]);
});

it("marks suspect and corrected points where they are drawn", () => {
  const drawn = prepare(
    series([
      [0, 5],
      [3600, 9, 1],
      [5400, 6, 0, 2],
    ]),
  );
  expect(drawn.suspects.map((i) => drawn.x[i])).toEqual([3600]);
  expect(drawn.corrected.map((i) => drawn.x[i])).toEqual([5400]);
});

it("joins the dial reads of a register, however far apart", () => {
  const drawn = prepare(
    series(
      [
        [0, 100],
        [86_400, 110],
        [259_200, 130],
      ],
      "REGISTER",
    ),
  );
  expect(drawn.x).toEqual([0, 86_400, 259_200]);
  expect(drawn.gaps).toEqual([]);
});

it("copes with nothing", () => {
  expect(prepare(series([])).x).toEqual([]);
});
