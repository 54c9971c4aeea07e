import type { Alert } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { Card } from "../../ui/Card.tsx";
import { Field } from "../../ui/Field.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { Empty, ErrorState, Skeleton } from "../../ui/states.tsx";
import { useFilters } from "../../ui/useFilters.ts";
import { ALERT_KINDS } from "../../ui/words.tsx";
import { AlertItem } from "./AlertItem.tsx";

export default function AlertsPage() {
  const [filter, setFilter] = useFilters();
  const state = filter("state") || "open";
  const query = {
    state: state === "all" ? "" : state,
    kind: filter("kind"),
    acknowledged: filter("acknowledged"),
    device_id: filter("device_id"),
  };
  const alerts = usePages<Alert>("/v1/alerts", { ...query, limit: 50 }, { keep: true, every: 30_000 });

  return (
    <Page title="Alerts" intro="Newest first. Times are in the zone of each site">
      <search className="filters">
        <Segmented
          label="State"
          value={state}
          options={[
            { value: "open", text: "Open" },
            { value: "closed", text: "Closed" },
            { value: "all", text: "All" },
          ]}
          onChange={(value) => setFilter({ state: value })}
        />
        <Field label="Kind">
          <select value={query.kind} onChange={(event) => setFilter({ kind: event.target.value })}>
            <option value="">Every kind</option>
            {Object.entries(ALERT_KINDS).map(([kind, { text }]) => (
              <option key={kind} value={kind}>
                {text}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Acknowledged">
          <select
            value={query.acknowledged}
            onChange={(event) => setFilter({ acknowledged: event.target.value })}
          >
            <option value="">Either</option>
            <option value="false">Not yet</option>
            <option value="true">Yes</option>
          </select>
        </Field>
      </search>
      <Card title={state === "open" ? "Open alerts" : state === "closed" ? "Closed alerts" : "All alerts"}>
        {alerts.isPending && <Skeleton lines={8} />}
        {alerts.isError && <ErrorState error={alerts.error} onRetry={alerts.refetch} />}
        {alerts.isSuccess && alerts.items.length === 0 && (
          <Empty title={state === "open" ? "Nothing needs attention" : "No alert fits"}>
            Leaks, outages, tampering, low batteries and silent meters are listed here.
          </Empty>
        )}
        <ul className="list">
          {alerts.items.map((alert) => (
            <AlertItem key={alert.alert_id} alert={alert} />
          ))}
        </ul>
        <More query={alerts} shown={alerts.items.length} />
      </Card>
    </Page>
  );
}
