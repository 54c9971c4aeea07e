import { Link } from "react-router";
import type { Alert, AlertKind } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { Card } from "../../ui/Card.tsx";
import { ErrorState, Skeleton } from "../../ui/states.tsx";
import { Ago } from "../../ui/Time.tsx";
import { alertKindOf, SeverityBadge } from "../../ui/words.tsx";

interface Props {
  kind: AlertKind;
  title: string;
  none: string;
}

/** A card for the alerts that somebody should act on at once. */
export function OpenAlerts({ kind, title, none }: Props) {
  const alerts = usePages<Alert>("/v1/alerts", { state: "open", kind, limit: 4 }, { every: 30_000 });
  const { icon: Icon } = alertKindOf(kind);
  const some = alerts.items.length > 0;
  return (
    <Card
      title={title}
      className={`half live-card ${some ? "urgent" : ""}`}
      actions={alerts.hasNextPage && <Link to={`/alerts?kind=${kind}`}>All</Link>}
    >
      {alerts.isPending && <Skeleton lines={2} />}
      {alerts.isError && <ErrorState error={alerts.error} onRetry={alerts.refetch} />}
      {alerts.isSuccess && !some && (
        <p className="muted with-icon">
          <Icon size={16} aria-hidden="true" /> {none}
        </p>
      )}
      <ul className="list">
        {alerts.items.slice(0, 4).map((alert) => (
          <li key={alert.alert_id}>
            <div className="spread">
              <Link to={`/devices/${encodeURIComponent(alert.device_id)}`}>
                <strong>{alert.device_id}</strong>
              </Link>
              <SeverityBadge severity={alert.severity} />
            </div>
            <p>{alert.detail}</p>
            <p className="small muted">
              {alert.site_id ? `Site ${alert.site_id}, since ` : "Since "}
              <Ago at={alert.opened_at} />
              {alert.acknowledgement ? `, seen by ${alert.acknowledgement.by}` : ""}
            </p>
          </li>
        ))}
      </ul>
    </Card>
  );
}
