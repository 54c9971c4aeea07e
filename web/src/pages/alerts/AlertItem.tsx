import { Check, ThumbsUp } from "lucide-react";
import { useState } from "react";
import { Link } from "react-router";
import type { Alert } from "../../api/contract.ts";
import { useCan } from "../../app/context.tsx";
import { Badge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Time } from "../../ui/Time.tsx";
import { AlertName, MAY_BE_NORMAL, SeverityBadge } from "../../ui/words.tsx";
import { type Answer, AnswerDialog } from "./AnswerDialog.tsx";
import "./alerts.css";

export function AlertItem({ alert, withDevice = true }: { alert: Alert; withDevice?: boolean }) {
  const mayAnswer = useCan("alerts.write");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const zone = alert.zone ?? "UTC";
  const closed = alert.state === "CLOSED";
  const mayBeNormal = MAY_BE_NORMAL.includes(alert.kind) && !alert.acknowledgement?.normal && !closed;
  return (
    <li className="alert-item">
      <div className="alert-main">
        <p className="row">
          <strong>
            <AlertName kind={alert.kind} />
          </strong>
          <SeverityBadge severity={alert.severity} />
          {closed && <Badge>Closed</Badge>}
        </p>
        <p>{alert.detail}</p>
        <p className="small muted alert-where">
          {withDevice && (
            <Link to={`/devices/${encodeURIComponent(alert.device_id)}`}>{alert.device_id}</Link>
          )}
          {withDevice && alert.site_id && <span>Site {alert.site_id}</span>}
          <span>
            Since <Time at={alert.opened_at} zone={zone} />
          </span>
          {alert.closed_at && (
            <span>
              Until <Time at={alert.closed_at} zone={zone} />
            </span>
          )}
        </p>
        {alert.acknowledgement && <Acknowledged alert={alert} zone={zone} />}
      </div>
      {mayAnswer && (
        <div className="row alert-actions">
          {!alert.acknowledgement && (
            <Button icon={<Check size={16} />} onClick={() => setAnswer("acknowledge")}>
              Acknowledge
            </Button>
          )}
          {mayBeNormal && (
            <Button icon={<ThumbsUp size={15} />} onClick={() => setAnswer("normal")}>
              This is normal
            </Button>
          )}
        </div>
      )}
      {answer && <AnswerDialog alert={alert} answer={answer} onClose={() => setAnswer(null)} />}
    </li>
  );
}

function Acknowledged({ alert, zone }: { alert: Alert; zone: string }) {
  const { acknowledgement } = alert;
  if (!acknowledgement) return null;
  return (
    <p className="small acknowledged">
      <Badge tone={acknowledgement.normal ? "info" : "good"}>
        {acknowledgement.normal ? "Declared normal" : "Acknowledged"}
      </Badge>
      <span>
        by {acknowledgement.by}, <Time at={acknowledgement.at} zone={zone} />
        {acknowledgement.note && <q> {acknowledgement.note}</q>}
      </span>
    </p>
  );
}
