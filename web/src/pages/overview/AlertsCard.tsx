import { Link } from "react-router";
import type { AlertKind, Overview, Severity } from "../../api/contract.ts";
import { count } from "../../lib/format.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/states.tsx";
import { AlertName, SeverityBadge } from "../../ui/words.tsx";

const ORDER: Severity[] = ["CRITICAL", "WARNING", "INFO"];

export function AlertsCard({ data }: { data: Overview }) {
  const rows = data.open_alerts
    .filter((row) => row.count > 0)
    .sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || b.count - a.count);
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  return (
    <Card
      title="Open alerts"
      note={total > 0 ? `${count(total)} in all` : "Nothing needs attention"}
      className="half"
      actions={<Link to="/alerts">All alerts</Link>}
    >
      {rows.length === 0 ? (
        <Empty title="All quiet">Leaks, outages, tampering and silent meters would be listed here.</Empty>
      ) : (
        <ul className="alert-counts">
          {rows.map((row) => (
            <li key={`${row.kind} ${row.severity}`}>
              <Link to={`/alerts?kind=${row.kind as AlertKind}`} className="plain-link">
                <AlertName kind={row.kind} />
              </Link>
              <SeverityBadge severity={row.severity} />
              <strong className="num">{count(row.count)}</strong>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
