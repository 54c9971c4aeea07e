import { usePages } from "../../api/queries.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, ErrorState, Skeleton } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";

interface AuditEntry {
  at: string;
  subject: string;
  name: string;
  role: string;
  action: string;
  target: string;
  status: number | string;
}

export default function AuditPage() {
  const entries = usePages<AuditEntry>("/v1/audit", { limit: 100 });
  return (
    <Page title="Audit" intro="Who changed or took what, newest first. Times are in UTC">
      <Card flush title="Entries">
        {entries.isPending && (
          <div className="pad">
            <Skeleton lines={8} />
          </div>
        )}
        {entries.isError && <ErrorState error={entries.error} onRetry={entries.refetch} />}
        {entries.isSuccess && entries.items.length === 0 && (
          <Empty title="Nothing yet">Changes and exports are noted here.</Empty>
        )}
        {entries.items.length > 0 && (
          <Table
            label="Audit entries"
            rows={entries.items}
            rowKey={(entry, i) => `${entry.at} ${i}`}
            columns={[
              { head: "When", cell: (entry) => <Time at={entry.at} zone="UTC" seconds /> },
              {
                head: "Who",
                cell: (entry) => <span title={entry.subject}>{entry.name || entry.subject}</span>,
              },
              { head: "Role", cell: (entry) => entry.role.replace("_", " "), wide: true },
              { head: "Did", cell: (entry) => entry.action },
              { head: "To", cell: (entry) => <span className="breakable">{entry.target}</span>, wide: true },
              {
                head: "Result",
                cell: (entry) => (
                  <Badge tone={Number(entry.status) < 400 ? "good" : "bad"}>{entry.status}</Badge>
                ),
              },
            ]}
          />
        )}
        <More query={entries} shown={entries.items.length} />
      </Card>
    </Page>
  );
}
