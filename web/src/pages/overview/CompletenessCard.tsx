import { Link } from "react-router";
import type { CompletenessDay } from "../../api/contract.ts";
import { useCan, useMe } from "../../app/context.tsx";
import { AsTable } from "../../charts/AsTable.tsx";
import { HeatStrip } from "../../charts/HeatStrip.tsx";
import { count, percent } from "../../lib/format.ts";
import { dayText } from "../../lib/zone.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/states.tsx";

export function CompletenessCard({ days }: { days: CompletenessDay[] }) {
  const more = useCan("completeness.read");
  const customer = useMe().role === "customer";
  const last = days.at(-1);
  return (
    <Card
      title="Completeness"
      note="Readings that arrived, of those that were due"
      className={customer ? "" : "half"}
      actions={more && <Link to="/completeness">Day by day</Link>}
    >
      {last ? (
        <>
          <dl className="figures">
            <div className="figure">
              <dt>{dayText(last.local_day)}</dt>
              <dd>{percent(last.completeness)}</dd>
            </div>
            <div className="figure">
              <dt>Missing that day</dt>
              <dd>
                {count(Math.max(0, last.expected - last.received))} <small>of {count(last.expected)}</small>
              </dd>
            </div>
          </dl>
          <HeatStrip days={days} />
          <AsTable
            label="Completeness by day"
            rows={[...days].reverse()}
            columns={[
              { head: "Day", cell: (day) => dayText(day.local_day) },
              { head: "Complete", cell: (day) => percent(day.completeness), numeric: true },
              { head: "Received", cell: (day) => count(day.received), numeric: true },
              { head: "Expected", cell: (day) => count(day.expected), numeric: true },
              { head: "Estimated", cell: (day) => count(day.estimated), numeric: true },
            ]}
          />
        </>
      ) : (
        <Empty title="No complete day yet">The first figures come with the first day in the warehouse.</Empty>
      )}
    </Card>
  );
}
