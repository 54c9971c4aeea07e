import type { Pipeline } from "../../api/contract.ts";
import { count, percent } from "../../lib/format.ts";
import { Card } from "../../ui/Card.tsx";

export function RejectedCard({ data }: { data: Pipeline }) {
  const most = Math.max(1, ...data.rejected.map((row) => row.count));
  return (
    <Card
      title="Set aside"
      note="Rejected readings of the last 7 days with data. Their bytes are kept unchanged"
      className="third"
    >
      <dl className="figures">
        <div className="figure">
          <dt>Of all readings</dt>
          <dd>{data.reject_ratio === null ? <small>Unknown</small> : percent(data.reject_ratio, 3)}</dd>
        </div>
        <div className="figure">
          <dt>Dead letters</dt>
          <dd>{data.dead_letters === null ? <small>Unknown</small> : count(data.dead_letters)}</dd>
        </div>
      </dl>
      {data.rejected.length === 0 ? (
        <p className="muted">Nothing was rejected.</p>
      ) : (
        <ul className="codes">
          {data.rejected.map((row) => (
            <li key={row.code}>
              <span>{row.code.replaceAll("_", " ").toLowerCase()}</span>
              <span className="num">{count(row.count)}</span>
              <span
                className="code-bar"
                style={{ width: `${(row.count / most) * 100}%` }}
                aria-hidden="true"
              />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
