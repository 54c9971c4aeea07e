import type { Stage } from "../../api/contract.ts";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Edge {
  to: Stage["stage"];
  path: string;
  /** Where its label stands. */
  label: { x: number; y: number; anchor: "middle" | "start" };
}

export interface Layout {
  width: number;
  height: number;
  source: Box;
  boxes: Record<Stage["stage"], Box>;
  edges: Edge[];
}

const WAY: Stage["stage"][] = ["raw", "validated", "lake", "warehouse", "facts"];

/** The way of a reading from left to right, or from top to bottom where there is little width. */
export function layout(width: number): Layout {
  return width >= 900 ? across(width) : down(width);
}

function across(width: number): Layout {
  const gap = Math.max(64, width * 0.07);
  const size = { width: (width - 4 - 5 * gap) / 6, height: 84 };
  const at = (column: number, y: number): Box => ({ x: 2 + column * (size.width + gap), y, ...size });
  const source = at(0, 20);
  const boxes = Object.fromEntries(WAY.map((stage, i) => [stage, at(i + 1, 20)])) as Layout["boxes"];
  boxes.live = at(3, 158);
  const middle = (box: Box) => box.y + box.height / 2;
  const line = (from: Box, to: Stage["stage"]): Edge => ({
    to,
    path: `M${from.x + from.width} ${middle(from)}H${boxes[to].x - 7}`,
    label: { x: from.x + from.width + gap / 2 - 3, y: middle(from) - 8, anchor: "middle" },
  });
  const turn = boxes.validated.x + boxes.validated.width / 2;
  const edges = [line(source, "raw"), ...WAY.slice(1).map((stage, i) => line(boxes[WAY[i] ?? "raw"], stage))];
  edges.push({
    to: "live",
    path: `M${turn} ${boxes.validated.y + size.height}V${middle(boxes.live) - 12}q0 12 12 12H${boxes.live.x - 7}`,
    label: { x: boxes.live.x - gap / 2 - 3, y: middle(boxes.live) - 8, anchor: "middle" },
  });
  return { width, height: 252, source, boxes, edges };
}

function down(width: number): Layout {
  const gap = 36;
  const size = { width: Math.min(width - 4, 420), height: 68 };
  const at = (row: number, indent = 0): Box => ({
    x: 2 + indent,
    y: 2 + row * (size.height + gap),
    width: size.width - indent,
    height: size.height,
  });
  const source = at(0);
  const order: Stage["stage"][] = ["raw", "validated", "live", "lake", "warehouse", "facts"];
  const boxes = Object.fromEntries(
    order.map((stage, i) => [stage, at(i + 1, stage === "live" ? 56 : 0)]),
  ) as Layout["boxes"];
  const before: Record<Stage["stage"], Box> = {
    raw: source,
    validated: boxes.raw,
    live: boxes.validated,
    lake: boxes.validated,
    warehouse: boxes.lake,
    facts: boxes.warehouse,
  };
  const edges = order.map((to): Edge => {
    const from = before[to];
    const x = to === "live" ? boxes.live.x + 40 : 26;
    return {
      to,
      path: `M${x} ${from.y + from.height}V${boxes[to].y - 7}`,
      label: { x: x + 12, y: boxes[to].y - gap / 2 + 4, anchor: "start" },
    };
  });
  return { width, height: boxes.facts.y + size.height + 4, source, boxes, edges };
}
