import { Link } from "react-router";
import type { Overview } from "../../api/contract.ts";
import { useMe } from "../../app/context.tsx";
import { count } from "../../lib/format.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/states.tsx";
import { CommodityName, commodityOf } from "../../ui/words.tsx";

export function FleetCard({ data: { devices, by_commodity } }: { data: Overview }) {
  const customer = useMe().role === "customer";
  if (devices.total === 0) {
    return (
      <Card title="Devices" className="half">
        <Empty title="No devices yet">
          <Link to="/onboarding">Register the first one</Link>
        </Empty>
      </Card>
    );
  }
  const parts = [
    { state: "live", text: "Live", n: devices.live, color: "var(--good)" },
    { state: "silent", text: "Silent", n: devices.silent, color: "var(--warn)" },
    { state: "power_off", text: "Without power", n: devices.power_off, color: "var(--bad)" },
  ];
  return (
    <Card
      title={customer ? "Your meters" : "Devices"}
      note="Live means: heard from in the last 36 hours"
      className="half"
      actions={<Link to="/devices">All {count(devices.total)}</Link>}
    >
      <dl className="figures">
        {parts.map((part) => (
          <div className="figure" key={part.state}>
            <dt className="with-icon">
              <span className="dot" style={{ background: part.color }} />
              {part.text}
            </dt>
            <dd>
              <Link to={`/devices?state=${part.state}`} className="plain-link">
                {count(part.n)}
              </Link>
            </dd>
          </div>
        ))}
      </dl>
      <div className="stacked" aria-hidden="true">
        {parts.map(
          (part) =>
            part.n > 0 && <span key={part.state} style={{ flexGrow: part.n, background: part.color }} />,
        )}
      </div>
      <ul className="commodities">
        {by_commodity.map((row) => (
          <li key={row.commodity}>
            <CommodityName commodity={row.commodity} />
            <span className="share" aria-hidden="true">
              <span
                style={{
                  width: `${(row.devices / devices.total) * 100}%`,
                  background: commodityOf(row.commodity).color,
                }}
              />
            </span>
            <Link to={`/devices?commodity=${row.commodity}`} className="num">
              {count(row.devices)}
              <span className="visually-hidden"> {commodityOf(row.commodity).text}</span>
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}
