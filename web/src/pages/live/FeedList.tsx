import { memo } from "react";
import { Link } from "react-router";
import { duration, quantity } from "../../lib/format.ts";
import { Time } from "../../ui/Time.tsx";
import { AlertName, CommodityName, SeverityBadge, VerdictBadge } from "../../ui/words.tsx";
import type { FeedItem } from "./feed.ts";
import { useZones } from "./useZones.ts";

export function FeedList({ items }: { items: FeedItem[] }) {
  const zoneOf = useZones();
  return (
    <ol className="feed" aria-label="Feed, newest first" data-testid="feed">
      {items.map((item) => (
        <FeedRow
          key={item.key}
          item={item}
          zone={item.type === "alert" ? (item.alert.zone ?? "UTC") : zoneOf(item.reading.site_id)}
        />
      ))}
    </ol>
  );
}

const FeedRow = memo(function FeedRow({ item, zone }: { item: FeedItem; zone: string }) {
  if (item.type === "alert") {
    const { alert } = item;
    return (
      <li className="feed-alert">
        <AlertName kind={alert.kind} />
        <Link to={`/devices/${encodeURIComponent(alert.device_id)}`}>{alert.device_id}</Link>
        <span className="feed-detail">
          {alert.state === "CLOSED" ? "Closed. " : ""}
          {alert.detail}
        </span>
        <SeverityBadge severity={alert.severity} />
        <Time at={alert.updated_at} zone={zone} seconds />
      </li>
    );
  }
  const { reading } = item;
  const late = (Date.parse(reading.validated_at) - Date.parse(reading.start)) / 1000 - reading.duration_s;
  return (
    <li data-validated-at={reading.validated_at} data-seen-at={item.seenAt}>
      <CommodityName commodity={reading.commodity} />
      <Link to={`/devices/${encodeURIComponent(reading.device_id)}`}>{reading.device_id}</Link>
      <span className="feed-detail num">
        <strong>{quantity(reading.value, reading.unit)}</strong>{" "}
        <span className="muted small">{reading.channel}</span>
      </span>
      <VerdictBadge verdict={reading.verdict} />
      <span title={`Validated ${duration(late)} after it was measured`}>
        <Time at={reading.start} zone={zone} />
      </span>
    </li>
  );
});
