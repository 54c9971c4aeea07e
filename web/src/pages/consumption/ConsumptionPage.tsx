import { ChevronLeft, ChevronRight } from "lucide-react";
import type { Commodity, Consumption, Overview } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { useCan, useMe } from "../../app/context.tsx";
import { pageLabel } from "../../auth/permissions.ts";
import { addDays, dayText, localDay } from "../../lib/zone.ts";
import { Button } from "../../ui/Button.tsx";
import { Exports } from "../../ui/Exports.tsx";
import { Field } from "../../ui/Field.tsx";
import { Page } from "../../ui/Page.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { Empty, Loaded, Skeleton } from "../../ui/states.tsx";
import { useFilters } from "../../ui/useFilters.ts";
import { COMMODITIES } from "../../ui/words.tsx";
import { GroupCard } from "./GroupCard.tsx";
import { type Against, compared, type Days, neighbour, type Period, periodOf } from "./periods.ts";
import "./consumption.css";

type Group = Consumption & { group: string; commodity: Commodity };

const PERIODS: { value: Period; text: string }[] = [
  { value: "week", text: "Week" },
  { value: "month", text: "Month" },
  { value: "year", text: "Year" },
];

const AGAINST: { value: Against; text: string }[] = [
  { value: "previous", text: "Period before" },
  { value: "year", text: "A year ago" },
  { value: "none", text: "Nothing" },
];

export default function ConsumptionPage() {
  const overview = useGet<Overview>("/v1/overview");
  return (
    <Loaded query={overview} skeleton={<Skeleton height={420} />}>
      {(data) => <View newest={data.consumption.at(-1)?.local_day ?? localDay(Date.now(), "UTC")} />}
    </Loaded>
  );
}

function View({ newest }: { newest: string }) {
  const me = useMe();
  const mayExport = useCan("exports.create");
  const [filter, setFilter] = useFilters();
  const period = PERIODS.find((p) => p.value === filter("period"))?.value ?? "month";
  const against = AGAINST.find((a) => a.value === filter("against"))?.value ?? "previous";
  const by = filter("by") === "site" ? "site" : "commodity";
  const commodity = filter("commodity");
  const day = filter("day") || newest;
  const days = periodOf(period, day);
  const before = compared(period, day, against);
  const grain = period === "year" ? "month" : "day";

  return (
    <Page
      title={pageLabel("consumption", me.role)}
      intro="By local day of each site; estimated parts are hatched"
      actions={
        mayExport && (
          <Exports
            choices={[
              {
                title: "Consumption as CSV",
                about: `${dayText(days.from)} to ${dayText(addDays(days.to, -1))}, by ${grain}`,
                path: "/v1/exports/consumption.csv",
                query: { grain, ...days },
                file: `consumption_${days.from}_${days.to}.csv`,
              },
              {
                title: "Daily consumption as Parquet",
                about: "For analysis tools",
                parquet: { dataset: "consumption_daily", ...days },
              },
            ]}
          />
        )
      }
    >
      <div className="filters">
        <Segmented
          label="Period"
          value={period}
          options={PERIODS}
          onChange={(value) => setFilter({ period: value })}
        />
        <div className="row">
          <Button
            aria-label="Period before"
            icon={<ChevronLeft size={17} />}
            onClick={() => setFilter({ day: neighbour(period, day, -1) })}
          />
          <strong className="num period-name">{periodText(period, days)}</strong>
          <Button
            aria-label="Period after"
            icon={<ChevronRight size={17} />}
            disabled={neighbour(period, day, 1) > newest}
            onClick={() => setFilter({ day: neighbour(period, day, 1) })}
          />
        </div>
        <Field label="Compare with">
          <select value={against} onChange={(event) => setFilter({ against: event.target.value })}>
            {AGAINST.map((a) => (
              <option key={a.value} value={a.value}>
                {a.text}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Group by">
          <select value={by} onChange={(event) => setFilter({ by: event.target.value })}>
            <option value="commodity">Commodity</option>
            <option value="site">Site</option>
          </select>
        </Field>
        <Field label="What">
          <select value={commodity} onChange={(event) => setFilter({ commodity: event.target.value })}>
            <option value="">Everything</option>
            {Object.entries(COMMODITIES).map(([id, { text }]) => (
              <option key={id} value={id}>
                {text}
              </option>
            ))}
          </select>
        </Field>
      </div>
      <Groups query={{ grain, group_by: by, commodity }} period={period} days={days} before={before} />
    </Page>
  );
}

interface GroupsProps {
  query: { grain: string; group_by: string; commodity: string };
  period: Period;
  days: Days;
  before: Days | null;
}

function Groups({ query, period, days, before }: GroupsProps) {
  const now = useGet<{ items: Group[] }>("/v1/consumption", { ...query, ...days }, { keep: true });
  const former = useGet<{ items: Group[] }>(
    "/v1/consumption",
    { ...query, ...before },
    { enabled: before !== null },
  );
  const keyOf = (group: Group) => `${group.group} ${group.commodity}`;
  const formerOf = new Map((before ? former.data?.items : [])?.map((group) => [keyOf(group), group.buckets]));
  return (
    <Loaded query={now} skeleton={<Skeleton height={320} />}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="No consumption in this period">
            Choose another period. Figures appear with the first day in the warehouse.
          </Empty>
        ) : (
          <div className="grid">
            {items.map((group) => (
              <GroupCard
                key={keyOf(group)}
                named={query.group_by === "site"}
                title={query.group_by === "site" ? group.group : COMMODITIES[group.commodity].text}
                group={group}
                former={formerOf.get(keyOf(group)) ?? []}
                waiting={before !== null && former.isPending}
                period={period}
                days={days}
                before={before}
              />
            ))}
          </div>
        )
      }
    </Loaded>
  );
}

function periodText(period: Period, { from, to }: Days): string {
  if (period === "month") return dayText(from, "month");
  if (period === "year") return from.slice(0, 4);
  return `${dayText(from)} to ${dayText(addDays(to, -1))}`;
}
