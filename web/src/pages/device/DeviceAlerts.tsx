import type { Alert, Device } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { ErrorState, Skeleton } from "../../ui/states.tsx";
import { AlertItem } from "../alerts/AlertItem.tsx";

export function DeviceAlerts({ device }: { device: Device }) {
  const alerts = usePages<Alert>("/v1/alerts", { device_id: device.device_id, limit: 100 });
  return (
    <Card title="Alerts of this device" className="half" note="They are also marked on the time axes above">
      {alerts.isPending && <Skeleton lines={3} />}
      {alerts.isError && <ErrorState error={alerts.error} onRetry={alerts.refetch} />}
      {alerts.isSuccess && alerts.items.length === 0 && <p className="muted">There never was one.</p>}
      <ul className="list">
        {alerts.items.map((alert) => (
          <AlertItem key={alert.alert_id} alert={alert} withDevice={false} />
        ))}
      </ul>
      <More query={alerts} shown={alerts.items.length} />
    </Card>
  );
}
