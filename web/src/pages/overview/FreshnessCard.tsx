import { Link } from "react-router";
import type { Stage } from "../../api/contract.ts";
import { duration } from "../../lib/format.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { STAGE_STATES } from "../../ui/words.tsx";

export function FreshnessCard({ stages }: { stages: Stage[] }) {
  if (stages.length === 0) return null;
  return (
    <Card
      title="Freshness of the data"
      note="Age of the newest thing at each stage"
      actions={<Link to="/pipeline">Pipeline</Link>}
    >
      <ul className="freshness">
        {stages.map((stage) => (
          <li key={stage.stage} style={{ borderTopColor: STAGE_STATES[stage.state].color }}>
            <span className="small muted">{stage.label}</span>
            <strong className="num">
              {stage.freshness_s === null ? "Nothing yet" : duration(stage.freshness_s)}
            </strong>
            <Badge tone={STAGE_STATES[stage.state].tone}>{STAGE_STATES[stage.state].text}</Badge>
          </li>
        ))}
      </ul>
    </Card>
  );
}
