import { BookOpen } from "lucide-react";
import type { Stage } from "../../api/contract.ts";
import { count, duration, number } from "../../lib/format.ts";
import { Badge } from "../../ui/Badge.tsx";
import { STAGE_STATES } from "../../ui/words.tsx";

export function StageCards({ stages }: { stages: Stage[] }) {
  return (
    <ul className="stages" aria-label="Stages">
      {stages.map((stage) => (
        <li key={stage.stage} className="card stage">
          <div className="spread">
            <h2>{stage.label}</h2>
            <Badge tone={STAGE_STATES[stage.state].tone}>{STAGE_STATES[stage.state].text}</Badge>
          </div>
          <dl className="pairs num">
            <dt>Newest</dt>
            <dd>{stage.freshness_s === null ? "Nothing yet" : `${duration(stage.freshness_s)} old`}</dd>
            <dt>Rate</dt>
            <dd>{stage.rate_per_s === null ? "Unknown" : `${number(stage.rate_per_s, 1)} a second`}</dd>
            <dt>Waiting</dt>
            <dd>{stage.lag === null ? "Unknown" : count(stage.lag)}</dd>
          </dl>
          {stage.detail && <p className="small muted">{stage.detail}</p>}
          {stage.runbook && (
            <a className="with-icon small" href={stage.runbook}>
              <BookOpen size={14} aria-hidden="true" />
              Runbook<span className="visually-hidden"> of {stage.label}</span>
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}
