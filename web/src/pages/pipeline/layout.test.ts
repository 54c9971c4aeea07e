import { describe, expect, it } from "vitest";
import { layout } from "./layout.ts";

describe.each([340, 700, 900, 1260])("at a width of %i", (width) => {
  const { boxes, source, edges, height } = layout(width);
  const all = [source, ...Object.values(boxes)];

  it("keeps every box inside the picture", () => {
    for (const box of all) {
      expect(box.x).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width).toBeLessThanOrEqual(width);
      expect(box.y + box.height).toBeLessThanOrEqual(height);
    }
  });

  it("lets no box lie on another", () => {
    for (const a of all) {
      for (const b of all) {
        if (a === b) continue;
        const apart =
          a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(apart).toBe(true);
      }
    }
  });

  it("has a way to every stage", () => {
    expect(new Set(edges.map((edge) => edge.to))).toEqual(new Set(Object.keys(boxes)));
  });
});
