import type { Channel, Device, Series } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { ChartLegend } from "../../charts/ChartLegend.tsx";
import type { ChartAlert } from "../../charts/draw.ts";
import { TimeChart } from "../../charts/LazyTimeChart.tsx";
import type { View } from "../../charts/view.ts";
import { duration, unitText } from "../../lib/format.ts";
import { Card } from "../../ui/Card.tsx";
import { Empty, Loaded, Notice, Skeleton } from "../../ui/states.tsx";
import { Corrections } from "./Corrections.tsx";
import { ReadingsTable } from "./ReadingsTable.tsx";
import { type DayRange, instants } from "./range.ts";

const KIND_TEXT: Record<Channel["kind"], string> = {
  INTERVAL: "Load curve",
  REGISTER: "Register (dial)",
  GAUGE: "Gauge",
};

interface Props {
  device: Device;
  channel: Channel;
  range: DayRange;
  bounds: View;
  alerts: ChartAlert[];
}

export function ChannelCard({ device, channel, range, bounds, alerts }: Props) {
  const query = { channel: channel.channel, ...instants(range, device.zone) };
  const base = `/v1/devices/${encodeURIComponent(device.device_id)}`;
  const series = useGet<Series>(`${base}/series`, query, { keep: true });
  const title = KIND_TEXT[channel.kind];
  const height = channel.kind === "INTERVAL" ? 300 : 190;
  const every = channel.interval_s === null ? "" : `, every ${duration(channel.interval_s)}`;
  return (
    <Card
      title={title}
      note={`${channel.channel} in ${unitText(channel.unit)}${every}`}
      actions={<ChartLegend register={channel.kind !== "INTERVAL"} />}
    >
      <Loaded query={series} skeleton={<Skeleton height={height} />}>
        {(data) =>
          data.start.length === 0 ? (
            <Empty title="Nothing in this range">Choose another day, or a longer range.</Empty>
          ) : (
            <>
              {data.truncated && (
                <Notice tone="info" title="Too much for one picture">
                  The first 50,000 values are shown. Choose a shorter range to see all.
                </Notice>
              )}
              <TimeChart
                series={data}
                bounds={bounds}
                alerts={alerts}
                label={`${title} ${channel.channel}`}
                sync={device.device_id}
                height={height}
              />
              <Corrections base={base} channel={channel} series={data} />
              <ReadingsTable base={base} query={query} zone={data.zone} />
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
