import { CircleCheck, Scale } from "lucide-react";
import type { Channel, Consumption, Device, Page, Reading } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { number, percent, unitText } from "../../lib/format.ts";
import { dayText } from "../../lib/zone.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { Empty, Loaded, Skeleton } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { type CheckRow, registerCheck } from "./check.ts";
import { type DayRange, instants } from "./range.ts";

interface Props {
  device: Device;
  interval: Channel;
  register: Channel;
  range: DayRange;
}

/** Dial and intervals side by side: what the dial moved, and what the intervals add up to. */
export function RegisterCheck({ device, interval, register, range }: Props) {
  const base = `/v1/devices/${encodeURIComponent(device.device_id)}`;
  const dial = useGet<Page<Reading>>(`${base}/readings`, {
    channel: register.channel,
    ...instants(range, device.zone),
    versions: "latest",
    limit: 500,
  });
  const sums = useGet<Consumption>(`${base}/consumption`, {
    channel: interval.channel,
    grain: "day",
    ...range,
  });
  return (
    <Card
      title="Register and intervals side by side"
      note={`Dial ${register.channel} × ${number(register.multiplier)}, against the sum of ${interval.channel}, in ${unitText(interval.unit)}`}
    >
      <Loaded query={dial} skeleton={<Skeleton lines={4} />}>
        {(reads) => (
          <Loaded query={sums} skeleton={<Skeleton lines={4} />}>
            {(consumption) => {
              const rows = registerCheck(reads.items, consumption.buckets, register.multiplier);
              return rows.length === 0 ? (
                <Empty title="Nothing to compare">
                  It takes two dial reads with whole days between them.
                </Empty>
              ) : (
                <CheckTable rows={rows} unit={interval.unit} />
              );
            }}
          </Loaded>
        )}
      </Loaded>
    </Card>
  );
}

function CheckTable({ rows, unit }: { rows: CheckRow[]; unit: string }) {
  return (
    <Table
      label={`Register and intervals in ${unitText(unit)}`}
      rows={rows}
      rowKey={(row) => row.from}
      columns={[
        { head: "From", cell: (row) => dayText(row.from) },
        { head: "To", cell: (row) => dayText(row.to), wide: true },
        { head: "Dial moved", cell: (row) => number(row.moved), numeric: true },
        { head: "Intervals", cell: (row) => number(row.summed), numeric: true },
        { head: "Difference", cell: (row) => number(row.difference), numeric: true },
        {
          head: "Complete",
          cell: (row) => (row.completeness === null ? "" : percent(row.completeness)),
          numeric: true,
          wide: true,
        },
        {
          head: "Verdict",
          cell: (row) =>
            row.agrees ? (
              <Badge tone="good" icon={<CircleCheck size={13} />}>
                Agrees
              </Badge>
            ) : (
              <Badge tone="warn" icon={<Scale size={13} />}>
                Differs
              </Badge>
            ),
        },
      ]}
    />
  );
}
