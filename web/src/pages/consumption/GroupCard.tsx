import type { Bucket, Commodity, Consumption } from "../../api/contract.ts";
import { AsTable } from "../../charts/AsTable.tsx";
import { BarChart } from "../../charts/BarChart.tsx";
import { changePercent, sum } from "../../lib/decimal.ts";
import { number, percent, plural, quantity, unitText } from "../../lib/format.ts";
import { dayText } from "../../lib/zone.ts";
import { Card } from "../../ui/Card.tsx";
import { COMMODITIES, CommodityName } from "../../ui/words.tsx";
import { type Pair, pairs, toBars } from "./bars.ts";
import { bucketsOf, type Days, type Period } from "./periods.ts";

interface Props {
  title: string;
  group: Consumption & { commodity: Commodity };
  former: Bucket[];
  /** The compared period is still on its way. */
  waiting: boolean;
  /** The title does not say the commodity already. */
  named: boolean;
  period: Period;
  days: Days;
  before: Days | null;
}

export function GroupCard({ title, group, former, waiting, named, period, days, before }: Props) {
  const list = pairs(bucketsOf(period, days), group.buckets, before ? bucketsOf(period, before) : [], former);
  const both = list.filter((pair) => pair.now && pair.before);
  const color = COMMODITIES[group.commodity].color;
  const unit = group.unit;
  return (
    <Card
      title={title}
      className="half"
      note={group.zone ? `Zone ${group.zone}` : "Each site's own zone"}
      actions={named && <CommodityName commodity={group.commodity} />}
    >
      <dl className="figures">
        <div className="figure">
          <dt>Total</dt>
          <dd>{quantity(sum(group.buckets.map((b) => b.quantity)), unit, 1)}</dd>
        </div>
        {before && (
          <div className="figure">
            <dt>
              {both.length === 0
                ? "Compared"
                : `${plural(both.length, period === "year" ? "month" : "day")} of both periods`}
            </dt>
            <dd>
              {both.length === 0 ? (
                <small>{waiting ? "Loading…" : "No data before"}</small>
              ) : (
                <Change pairs={both} />
              )}
            </dd>
          </div>
        )}
      </dl>
      <BarChart
        label={`${title}, consumption in ${unitText(unit)}`}
        bars={toBars(list, unit, period)}
        unit={unitText(unit)}
        color={color}
      />
      <ul className="legend small muted">
        <li>
          <span className="swatch" style={{ background: color }} /> This period
        </li>
        {before && (
          <li>
            <span className="swatch" style={{ background: "var(--ghost)" }} /> {dayText(before.from)} on
          </li>
        )}
        <li>
          <span className="swatch hatched" style={{ color }} /> Estimated
        </li>
      </ul>
      <PairTable list={list} unit={unit} title={title} />
    </Card>
  );
}

/** More or less is said in words and sign, not by colour: less is not always good. */
function Change({ pairs: both }: { pairs: Pair[] }) {
  const change = changePercent(
    sum(both.map((pair) => pair.before?.quantity ?? "0")),
    sum(both.map((pair) => pair.now?.quantity ?? "0")),
  );
  if (change === null) return <small>Nothing was used before</small>;
  const less = change.startsWith("-");
  return (
    <>
      {number(less ? change.slice(1) : change)} %{" "}
      <small>{change === "0" ? "as before" : less ? "less" : "more"}</small>
    </>
  );
}

function PairTable({ list, unit, title }: { list: Pair[]; unit: string; title: string }) {
  return (
    <AsTable
      label={`${title} in ${unitText(unit)}`}
      rows={list}
      columns={[
        { head: "When", cell: (pair) => dayText(pair.key, pair.key.length === 7 ? "month" : "short") },
        {
          head: "Quantity",
          cell: (pair) => (pair.now ? quantity(pair.now.quantity, unit) : "No data"),
          numeric: true,
        },
        {
          head: "Before",
          cell: (pair) => (pair.before ? quantity(pair.before.quantity, unit) : ""),
          numeric: true,
        },
        { head: "Hours", cell: (pair) => pair.now?.hours ?? "", numeric: true, wide: true },
        {
          head: "Complete",
          cell: (pair) => (pair.now?.completeness ? percent(pair.now.completeness) : ""),
          numeric: true,
          wide: true,
        },
        {
          head: "Estimated",
          cell: (pair) => (pair.now ? percent(pair.now.estimated_share, 1) : ""),
          numeric: true,
          wide: true,
        },
      ]}
    />
  );
}
