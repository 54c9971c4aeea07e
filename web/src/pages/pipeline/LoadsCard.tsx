import type { Pipeline } from "../../api/contract.ts";
import { count, duration } from "../../lib/format.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { Empty, type Tone } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { Ago } from "../../ui/Time.tsx";

const TONES: Record<string, Tone> = {
  loaded: "good",
  committed: "good",
  done: "good",
  ok: "good",
  quarantined: "bad",
  failed: "bad",
};

export function LoadsCard({ loads }: { loads: Pipeline["loads"] }) {
  return (
    <Card
      flush
      title="Loads into the warehouse"
      note="The last 20, each exactly once"
      className="two-thirds loads"
    >
      {loads.length === 0 ? (
        <Empty title="Nothing loaded yet" />
      ) : (
        <Table
          label="Loads into the warehouse"
          rows={loads}
          rowKey={(load) => `${load.table} ${load.snapshot_id}`}
          columns={[
            { head: "When", cell: (load) => <Ago at={load.at} /> },
            { head: "Table", cell: (load) => load.table },
            { head: "Rows", cell: (load) => count(load.rows), numeric: true },
            { head: "Files", cell: (load) => count(load.files), numeric: true, wide: true },
            { head: "Took", cell: (load) => took(load.duration_ms), numeric: true, wide: true },
            {
              head: "Snapshot",
              cell: (load) => <code title={load.snapshot_id}>…{load.snapshot_id.slice(-6)}</code>,
              wide: true,
            },
            {
              head: "State",
              cell: (load) => (
                <Badge tone={TONES[load.state.toLowerCase()] ?? "neutral"}>{load.state.toLowerCase()}</Badge>
              ),
            },
          ]}
        />
      )}
    </Card>
  );
}

function took(ms: number | null): string {
  if (ms === null) return "";
  return ms < 10_000 ? `${count(ms)} ms` : duration(ms / 1000);
}
