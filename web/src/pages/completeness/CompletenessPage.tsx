import type { CompletenessDay, Overview } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { addMonths, dayText, localDay } from "../../lib/zone.ts";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { Empty, Loaded, Skeleton } from "../../ui/states.tsx";
import { useFilters } from "../../ui/useFilters.ts";
import { Calendar } from "./Calendar.tsx";
import { DayDetail } from "./DayDetail.tsx";
import { HeatLegend } from "./HeatLegend.tsx";
import { months } from "./months.ts";
import "./completeness.css";

const REACH = [
  { value: "3", text: "3 months" },
  { value: "6", text: "6 months" },
  { value: "12", text: "Year" },
];

export default function CompletenessPage() {
  const overview = useGet<Overview>("/v1/overview");
  const [filter, setFilter] = useFilters();
  const reach = REACH.find((r) => r.value === filter("months"))?.value ?? "3";
  const newest = overview.data?.completeness.at(-1)?.local_day ?? localDay(Date.now(), "UTC");
  const range = { from: addMonths(newest, 1 - Number(reach)), to: addMonths(newest, 1) };
  const days = useGet<{ items: CompletenessDay[] }>("/v1/completeness", range, {
    enabled: !overview.isPending,
    keep: true,
  });
  const chosen = filter("day") || days.data?.items.at(-1)?.local_day || "";

  return (
    <Page
      title="Completeness"
      intro="Readings that arrived, of those that were due, by local day of the site. Choose a day to see what is missing"
      actions={
        <Segmented
          label="How far back"
          value={reach}
          options={REACH}
          onChange={(value) => setFilter({ months: value })}
        />
      }
    >
      <Loaded query={days} skeleton={<Skeleton height={300} />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No complete day yet">The calendar fills with the first day in the warehouse.</Empty>
          ) : (
            <>
              <Card
                title="Calendar"
                note={`${dayText(items[0]?.local_day ?? "")} to ${dayText(items.at(-1)?.local_day ?? "")}`}
                actions={<HeatLegend />}
              >
                <Calendar
                  months={months(items)}
                  chosen={chosen}
                  onChoose={(day) => setFilter({ day, device: null, channel: null })}
                />
              </Card>
              {chosen && (
                <DayDetail
                  key={chosen}
                  day={chosen}
                  figures={items.find((item) => item.local_day === chosen) ?? null}
                />
              )}
            </>
          )
        }
      </Loaded>
    </Page>
  );
}
