import { Link } from "react-router";
import type { Commodity, Overview } from "../../api/contract.ts";
import { useMe } from "../../app/context.tsx";
import { AsTable } from "../../charts/AsTable.tsx";
import { Sparkline } from "../../charts/Sparkline.tsx";
import { sum, toDrawn } from "../../lib/decimal.ts";
import { plural, quantity } from "../../lib/format.ts";
import { dayText } from "../../lib/zone.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/states.tsx";
import { COMMODITIES, CommodityName } from "../../ui/words.tsx";

type Row = Overview["consumption"][number];

export function ConsumptionCard({ data }: { data: Overview }) {
  const customer = useMe().role === "customer";
  const groups = new Map<Commodity, Row[]>();
  for (const row of data.consumption) groups.set(row.commodity, [...(groups.get(row.commodity) ?? []), row]);
  return (
    <Card
      title={customer ? "What you used" : "Consumption"}
      note="By local day of the site"
      className={customer ? "" : "half"}
      actions={<Link to="/consumption">Compare</Link>}
    >
      {groups.size === 0 ? (
        <Empty title="No consumption yet">It appears with the first day in the warehouse.</Empty>
      ) : (
        <>
          <ul className={`usage ${customer ? "wide-usage" : ""}`}>
            {[...groups].map(([commodity, rows]) => (
              <Usage key={commodity} commodity={commodity} rows={rows} />
            ))}
          </ul>
          <AsTable
            label="Consumption by day"
            rows={[...data.consumption].reverse()}
            columns={[
              { head: "Day", cell: (row) => dayText(row.local_day) },
              { head: "What", cell: (row) => COMMODITIES[row.commodity].text },
              { head: "Quantity", cell: (row) => quantity(row.quantity, row.unit), numeric: true },
            ]}
          />
        </>
      )}
    </Card>
  );
}

function Usage({ commodity, rows }: { commodity: Commodity; rows: Row[] }) {
  const last = rows.at(-1);
  if (!last) return null;
  const total = quantity(sum(rows.map((row) => row.quantity)), last.unit, 1);
  return (
    <li>
      <div>
        <CommodityName commodity={commodity} />
        <p className="usage-figure num">{quantity(last.quantity, last.unit, 2)}</p>
        <p className="small muted">{dayText(last.local_day)}</p>
      </div>
      <div>
        <Sparkline
          values={rows.map((row) => toDrawn(row.quantity))}
          color={COMMODITIES[commodity].color}
          label={`${COMMODITIES[commodity].text} over ${plural(rows.length, "day")}`}
        />
        <p className="small muted num">
          {plural(rows.length, "day")}: {total}
        </p>
      </div>
    </li>
  );
}
