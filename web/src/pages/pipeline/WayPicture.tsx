import type { Stage } from "../../api/contract.ts";
import { useWidth } from "../../charts/useWidth.ts";
import { compact, duration, number } from "../../lib/format.ts";
import { Card } from "../../ui/Card.tsx";
import { STAGE_STATES } from "../../ui/words.tsx";
import { type Box, type Edge, layout } from "./layout.ts";

export function WayPicture({ stages }: { stages: Stage[] }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const plan = layout(Math.max(width, 280));
  const byName = new Map(stages.map((stage) => [stage.stage, stage]));
  const summary = stages.map((stage) => `${stage.label}: ${STAGE_STATES[stage.state].text}`).join(", ");
  return (
    <Card
      title="The way of a reading"
      note="On the lines: messages or rows a second, and how many still wait"
    >
      <div ref={ref}>
        {width > 0 && (
          <svg
            width={plan.width}
            height={plan.height}
            role="img"
            aria-label={`Gateways, ${summary}. The figures are in the list below.`}
          >
            {plan.edges.map((edge) => (
              <Flow key={edge.to} edge={edge} stage={byName.get(edge.to)} />
            ))}
            <Node box={plan.source} title="Gateways" lines={["Kafka or HTTP"]} color="var(--border-strong)" />
            {stages.map((stage) => {
              const box = plan.boxes[stage.stage];
              const { text, color } = STAGE_STATES[stage.state];
              const age =
                stage.freshness_s === null ? "nothing yet" : `newest ${duration(stage.freshness_s)} old`;
              return (
                box && (
                  <Node key={stage.stage} box={box} title={stage.label} lines={[text, age]} color={color} />
                )
              );
            })}
          </svg>
        )}
      </div>
    </Card>
  );
}

function Node({ box, title, lines, color }: { box: Box; title: string; lines: string[]; color: string }) {
  const top = box.y + (box.height - 16 * (lines.length + 1)) / 2 + 12;
  return (
    <g>
      <rect {...box} rx="9" fill="var(--surface-2)" stroke="var(--border)" />
      <rect x={box.x} y={box.y + 10} width="4" height={box.height - 20} rx="2" fill={color} />
      <text x={box.x + 15} y={top} className="node-title">
        {title}
      </text>
      {lines.map((line, i) => (
        <text
          key={line}
          x={box.x + 15}
          y={top + 18 + i * 16}
          className="node-line"
          fill={i === 0 ? color : "var(--muted)"}
        >
          {line}
        </text>
      ))}
    </g>
  );
}

function Flow({ edge, stage }: { edge: Edge; stage: Stage | undefined }) {
  const moving = Number(stage?.rate_per_s ?? 0) > 0 && stage?.state !== "down";
  const color =
    stage?.state === "down" ? "var(--bad)" : stage?.state === "late" ? "var(--warn)" : "var(--border-strong)";
  const { x, y, anchor } = edge.label;
  const rate =
    stage?.rate_per_s == null ? "" : `${number(stage.rate_per_s, Number(stage.rate_per_s) < 10 ? 1 : 0)}/s`;
  const lag = stage?.lag ? `${compact(stage.lag)} wait` : "";
  return (
    <g>
      <path
        d={edge.path}
        className={moving ? "flow moving-flow" : "flow"}
        stroke={color}
        markerEnd="url(#tip)"
      />
      <marker
        id="tip"
        viewBox="0 0 8 8"
        refX="2"
        refY="4"
        markerWidth="8"
        markerHeight="8"
        orient="auto"
        markerUnits="userSpaceOnUse"
      >
        <path d="M0 0l8 4-8 4z" fill="var(--border-strong)" />
      </marker>
      {anchor === "start" ? (
        <text x={x} y={y} className="flow-label" textAnchor="start">
          {[rate, lag].filter(Boolean).join(", ")}
        </text>
      ) : (
        <>
          <text x={x} y={y} className="flow-label" textAnchor="middle">
            {rate}
          </text>
          <text
            x={x}
            y={y + 24}
            className="flow-label"
            textAnchor="middle"
            fill={stage?.state === "late" ? "var(--warn)" : "var(--muted)"}
          >
            {lag}
          </text>
        </>
      )}
    </g>
  );
}
