import { useState } from "react";
import type { Channel, Reading, Series } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { plural, quantity } from "../../lib/format.ts";
import { ErrorState, Skeleton } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { Verdict } from "./Verdict.tsx";

interface Props {
  base: string;
  channel: Channel;
  series: Series;
}

const MOST = 20;

/** Values that were corrected later, each with all that was ever said. */
export function Corrections({ base, channel, series }: Props) {
  const starts = series.start.filter((_, i) => (series.version[i] ?? 1) > 1);
  if (starts.length === 0) return null;
  return (
    <details className="as-table">
      <summary>{plural(starts.length, "corrected value")}</summary>
      <ul className="list corrections">
        {starts.slice(-MOST).map((start) => (
          <Correction key={start} base={base} channel={channel.channel} start={start} zone={series.zone} />
        ))}
      </ul>
      {starts.length > MOST && (
        <p className="small muted">The newest {MOST} are listed. A shorter range shows the others.</p>
      )}
    </details>
  );
}

function Correction({
  base,
  channel,
  start,
  zone,
}: {
  base: string;
  channel: string;
  start: number;
  zone: string;
}) {
  const [open, setOpen] = useState(false);
  const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
  const query = { channel, from: iso(start), to: iso(start + 1), versions: "all", limit: 50 };
  const versions = usePages<Reading>(`${base}/readings`, query, { enabled: open });
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <Time at={iso(start)} zone={zone} />
        </summary>
        {versions.isLoading && <Skeleton lines={2} />}
        {versions.isError && <ErrorState error={versions.error} onRetry={versions.refetch} />}
        {versions.items.length > 0 && (
          <Table
            label="Versions of the value"
            rows={[...versions.items].sort((a, b) => b.version - a.version || b.revision - a.revision)}
            rowKey={(reading) => `${reading.version} ${reading.revision}`}
            columns={[
              { head: "Version", cell: (reading) => reading.version, numeric: true },
              { head: "Value", cell: (reading) => quantity(reading.value, reading.unit), numeric: true },
              { head: "Verdict", cell: (reading) => <Verdict reading={reading} /> },
              { head: "Stored", cell: (reading) => <Time at={reading.loaded_at} zone={zone} /> },
            ]}
          />
        )}
      </details>
    </li>
  );
}
