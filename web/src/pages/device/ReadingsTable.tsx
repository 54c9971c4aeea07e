import { useState } from "react";
import type { Query } from "../../api/client.ts";
import type { Reading } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { quantity } from "../../lib/format.ts";
import { More } from "../../ui/More.tsx";
import { ErrorState, Skeleton } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { Verdict } from "./Verdict.tsx";

/** The values of a chart, exact to the last digit. */
export function ReadingsTable({ base, query, zone }: { base: string; query: Query; zone: string }) {
  const [open, setOpen] = useState(false);
  const readings = usePages<Reading>(
    `${base}/readings`,
    { ...query, versions: "latest", limit: 200 },
    { enabled: open },
  );
  return (
    <details className="as-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as a table</summary>
      {readings.isLoading && <Skeleton lines={4} />}
      {readings.isError && <ErrorState error={readings.error} onRetry={readings.refetch} />}
      {readings.items.length > 0 && (
        <Table
          label="Readings"
          rows={readings.items}
          rowKey={(reading) => reading.start}
          columns={[
            { head: "Start", cell: (reading) => <Time at={reading.start} zone={zone} /> },
            { head: "Value", cell: (reading) => quantity(reading.value, reading.unit), numeric: true },
            { head: "Verdict", cell: (reading) => <Verdict reading={reading} /> },
            { head: "Version", cell: (reading) => reading.version, numeric: true },
          ]}
        />
      )}
      <More query={readings} shown={readings.items.length} />
    </details>
  );
}
