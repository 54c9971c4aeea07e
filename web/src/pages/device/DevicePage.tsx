import { Link, useParams } from "react-router";
import type { Device } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { useTitle } from "../../app/title.ts";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { ErrorState, Loaded, Skeleton } from "../../ui/states.tsx";
import { useFilters } from "../../ui/useFilters.ts";
import { useNow } from "../../ui/useNow.ts";
import { CommodityName } from "../../ui/words.tsx";
import { DeviceState } from "../devices/DeviceState.tsx";
import { DeviceAlerts } from "./DeviceAlerts.tsx";
import { DeviceCurves } from "./DeviceCurves.tsx";
import { DeviceExports } from "./DeviceExports.tsx";
import { DeviceFacts } from "./DeviceFacts.tsx";
import { RangePicker } from "./RangePicker.tsx";
import { newestDay, rangeOf, SPANS, type Span } from "./range.ts";
import "./device.css";

export default function DevicePage() {
  const { id = "" } = useParams();
  useTitle(id);
  const device = useGet<Device>(`/v1/devices/${encodeURIComponent(id)}`, {}, { every: 30_000 });
  if (device.isError && !device.data) {
    return (
      <Page
        title={<span className="device-title">{id}</span>}
        actions={<Link to="/devices">All devices</Link>}
      >
        <Card title="This device cannot be shown">
          <ErrorState error={device.error} onRetry={device.refetch} />
        </Card>
      </Page>
    );
  }
  return (
    <Loaded
      query={device}
      skeleton={
        <Page title={<span className="device-title">{id}</span>}>
          <Skeleton height={360} />
        </Page>
      }
    >
      {(data) => <DeviceView device={data} />}
    </Loaded>
  );
}

function DeviceView({ device }: { device: Device }) {
  const [filter, setFilter] = useFilters();
  const now = useNow();
  const span = SPANS.find((s) => s.value === filter("span"))?.value ?? ("7d" satisfies Span);
  const lastDay = filter("day") || newestDay(device.live?.event_at, device.zone, now);
  const range = rangeOf(span, lastDay);
  return (
    <Page
      title={<span className="device-title">{device.device_id}</span>}
      intro={
        <span className="row">
          <CommodityName commodity={device.commodity} /> <DeviceState device={device} />
          <span>
            Site {device.site_id}, {device.zone}
          </span>
        </span>
      }
      actions={<DeviceExports device={device} range={range} />}
    >
      <RangePicker
        span={span}
        lastDay={lastDay}
        range={range}
        zone={device.zone}
        onChange={(next) => setFilter({ span: next.span, day: next.lastDay })}
      />
      <DeviceCurves device={device} range={range} />
      <div className="grid">
        <DeviceAlerts device={device} />
        <DeviceFacts device={device} />
      </div>
    </Page>
  );
}
