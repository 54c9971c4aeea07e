import { useMemo } from "react";
import type { Alert, Channel, Device } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { useCan } from "../../app/context.tsx";
import type { ChartAlert } from "../../charts/draw.ts";
import { dayStart } from "../../lib/zone.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/states.tsx";
import { alertKindOf } from "../../ui/words.tsx";
import { ChannelCard } from "./ChannelCard.tsx";
import { RegisterCheck } from "./RegisterCheck.tsx";
import type { DayRange } from "./range.ts";

interface Props {
  device: Device;
  range: DayRange;
}

const ORDER: Channel["kind"][] = ["INTERVAL", "REGISTER", "GAUGE"];

/** A chart per channel on one time axis: interval and register beneath each other, the cursor in all of them. */
export function DeviceCurves({ device, range }: Props) {
  const alerts = useChartAlerts(device.device_id);
  const bounds = useMemo(
    () => ({ min: dayStart(range.from, device.zone) / 1000, max: dayStart(range.to, device.zone) / 1000 }),
    [range.from, range.to, device.zone],
  );
  const channels = [...device.channels].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const interval = channels.find((channel) => channel.kind === "INTERVAL");
  const register = channels.find((channel) => channel.kind === "REGISTER" && channel.unit === interval?.unit);
  if (channels.length === 0) {
    return (
      <Card title="Load curve">
        <Empty title="This device has no channels">
          Its registration names none, so nothing can be stored for it.
        </Empty>
      </Card>
    );
  }
  return (
    <>
      {channels.map((channel) => (
        <ChannelCard
          key={channel.channel}
          device={device}
          channel={channel}
          range={range}
          bounds={bounds}
          alerts={alerts}
        />
      ))}
      {interval && register && (
        <RegisterCheck device={device} interval={interval} register={register} range={range} />
      )}
    </>
  );
}

function useChartAlerts(deviceId: string): ChartAlert[] {
  const allowed = useCan("alerts.read");
  const { data } = usePages<Alert>("/v1/alerts", { device_id: deviceId, limit: 100 }, { enabled: allowed });
  return useMemo(
    () =>
      (data?.pages.flatMap((page) => page.items) ?? []).map((alert) => ({
        from: Date.parse(alert.opened_at) / 1000,
        to: alert.closed_at === null ? null : Date.parse(alert.closed_at) / 1000,
        severity: alert.severity,
        text: alertKindOf(alert.kind).text,
      })),
    [data],
  );
}
