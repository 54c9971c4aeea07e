import { useGet } from "../../api/queries.ts";
import { plural } from "../../lib/format.ts";
import { addDays, dayStart, dayText } from "../../lib/zone.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import type { DeviceHoles } from "./DayDetail.tsx";

interface GapList {
  zone: string;
  items: { from: string; to: string; intervals: number }[];
}

/** The missing intervals of a device on a day, in a strip and in words. */
export function Gaps({ day, row }: { day: string; row: DeviceHoles }) {
  const start = dayStart(day, row.zone);
  const end = dayStart(addDays(day, 1), row.zone);
  const iso = (ms: number) => new Date(ms).toISOString().replace(".000Z", "Z");
  const gaps = useGet<GapList>(`/v1/devices/${encodeURIComponent(row.device_id)}/gaps`, {
    channel: row.channel,
    from: iso(start),
    to: iso(end),
  });
  const share = (instant: string) =>
    Math.min(100, Math.max(0, ((Date.parse(instant) - start) / (end - start)) * 100));
  return (
    <Card
      title={`Missing intervals of ${row.device_id}`}
      note={`${row.channel}, ${dayText(day)}, ${(end - start) / 3_600_000} hours in ${row.zone}`}
    >
      <Loaded query={gaps}>
        {({ items, zone }) =>
          items.length === 0 ? (
            <Empty title="They have arrived meanwhile">
              The figures of the day follow with the next run of the warehouse.
            </Empty>
          ) : (
            <>
              <div className="gap-strip" aria-hidden="true">
                {items.map((gap) => (
                  <span
                    key={gap.from}
                    style={{
                      left: `${share(gap.from)}%`,
                      width: `${Math.max(0.5, share(gap.to) - share(gap.from))}%`,
                    }}
                  />
                ))}
              </div>
              <ul className="list">
                {items.map((gap) => (
                  <li key={gap.from} className="spread">
                    <span>
                      <Time at={gap.from} zone={zone} /> to <Time at={gap.to} zone={zone} />
                    </span>
                    <span className="muted">{plural(gap.intervals, "interval")}</span>
                  </li>
                ))}
              </ul>
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
