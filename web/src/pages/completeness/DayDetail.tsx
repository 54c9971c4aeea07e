import { Link } from "react-router";
import type { CompletenessDay } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { count, percent } from "../../lib/format.ts";
import { dayText } from "../../lib/zone.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Empty, ErrorState, Skeleton } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { useFilters } from "../../ui/useFilters.ts";
import { Gaps } from "./Gaps.tsx";

export interface DeviceHoles {
  device_id: string;
  channel: string;
  expected: number;
  received: number;
  completeness: string;
  zone: string;
}

export function DayDetail({ day, figures }: { day: string; figures: CompletenessDay | null }) {
  const devices = usePages<DeviceHoles>(`/v1/completeness/${day}`, { limit: 50 });
  const [filter, setFilter] = useFilters();
  const open = devices.items.find(
    (row) => row.device_id === filter("device") && row.channel === filter("channel"),
  );
  return (
    <>
      {figures && <DayFigures day={day} figures={figures} />}
      <Card flush title="Devices with holes" note={`${dayText(day, "long")}, worst first`}>
        {devices.isPending && (
          <div className="pad">
            <Skeleton lines={5} />
          </div>
        )}
        {devices.isError && <ErrorState error={devices.error} onRetry={devices.refetch} />}
        {devices.isSuccess && devices.items.length === 0 && (
          <Empty title="Nothing is missing">Every reading of this day arrived.</Empty>
        )}
        {devices.items.length > 0 && (
          <Table
            label="Devices with holes"
            rows={devices.items}
            rowKey={(row) => `${row.device_id} ${row.channel}`}
            columns={[
              {
                head: "Device",
                cell: (row) => (
                  <Link to={`/devices/${encodeURIComponent(row.device_id)}?span=1d&day=${day}`}>
                    {row.device_id}
                  </Link>
                ),
              },
              { head: "Channel", cell: (row) => row.channel, wide: true },
              {
                head: "Missing",
                cell: (row) => `${count(row.expected - row.received)} of ${count(row.expected)}`,
                numeric: true,
              },
              { head: "Complete", cell: (row) => percent(row.completeness), numeric: true, wide: true },
              {
                head: "Intervals",
                cell: (row) => (
                  <Button
                    aria-pressed={row === open}
                    onClick={() =>
                      setFilter(
                        row === open
                          ? { device: null, channel: null }
                          : { device: row.device_id, channel: row.channel },
                      )
                    }
                  >
                    {row === open ? "Hide" : "Show"}
                    <span className="visually-hidden"> missing intervals of {row.device_id}</span>
                  </Button>
                ),
              },
            ]}
          />
        )}
        <More query={devices} shown={devices.items.length} />
      </Card>
      {open && <Gaps day={day} row={open} />}
    </>
  );
}

function DayFigures({ day, figures }: { day: string; figures: CompletenessDay }) {
  const rows = [
    { text: "Complete", value: percent(figures.completeness) },
    { text: "Missing", value: count(Math.max(0, figures.expected - figures.received)) },
    { text: "Estimated", value: count(figures.estimated) },
    { text: "Suspect", value: count(figures.suspect) },
    {
      text: "Devices with holes",
      value: `${count(figures.devices_incomplete)} of ${count(figures.devices)}`,
    },
  ];
  return (
    <Card
      title={dayText(day, "long")}
      note={`${count(figures.received)} of ${count(figures.expected)} readings`}
    >
      <dl className="figures">
        {rows.map((row) => (
          <div className="figure" key={row.text}>
            <dt>{row.text}</dt>
            <dd>{row.value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
