import { Link } from "react-router";
import type { Device } from "../../api/contract.ts";
import { number, quantity } from "../../lib/format.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { Time } from "../../ui/Time.tsx";

export function DeviceFacts({ device }: { device: Device }) {
  const { live, zone } = device;
  return (
    <Card title="Live values and registration" className="half">
      {live && live.values.length > 0 && (
        <ul className="list">
          {live.values.map((value) => (
            <li key={`${value.channel} ${value.kind}`} className="spread">
              <span>
                <strong className="num">{quantity(value.value, value.unit)}</strong>{" "}
                <span className="small muted">{value.channel}</span>{" "}
                {!value.valid && <Badge tone="warn">Suspect</Badge>}
              </span>
              <Time at={value.start} zone={zone} />
            </li>
          ))}
        </ul>
      )}
      <dl className="pairs">
        {live?.power && (
          <>
            <dt>Power</dt>
            <dd>
              {live.power === "ON" ? "On" : "Off"}
              {live.power_at && (
                <>
                  {" "}
                  since <Time at={live.power_at} zone={zone} />
                </>
              )}
            </dd>
          </>
        )}
        <dt>Last heard from</dt>
        <dd>{live ? <Time at={live.event_at} zone={zone} seconds /> : "Never"}</dd>
        <dt>Site</dt>
        <dd>
          <Link to={`/devices?site_id=${encodeURIComponent(device.site_id)}`}>{device.site_id}</Link>, zone{" "}
          {zone}
        </dd>
        <dt>Customer</dt>
        <dd>{device.customer_id ?? "None"}</dd>
        <dt>Class</dt>
        <dd>{device.customer_class.toLowerCase().replaceAll("_", " ")}</dd>
        <dt>Gateway</dt>
        <dd>{device.gateway_id ?? "None"}</dd>
        <dt>Channels</dt>
        <dd>
          {device.channels
            .map(
              (c) =>
                `${c.channel} (${c.kind.toLowerCase()}${c.multiplier === "1" ? "" : `, × ${number(c.multiplier)}`})`,
            )
            .join(", ")}
        </dd>
        <dt>Registration</dt>
        <dd>Version {device.version}</dd>
      </dl>
    </Card>
  );
}
