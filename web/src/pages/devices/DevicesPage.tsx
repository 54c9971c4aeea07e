import { useEffect, useState } from "react";
import { Link } from "react-router";
import type { Device } from "../../api/contract.ts";
import { usePages } from "../../api/queries.ts";
import { useCan, useMe } from "../../app/context.tsx";
import { pageLabel } from "../../auth/permissions.ts";
import { count } from "../../lib/format.ts";
import { Card } from "../../ui/Card.tsx";
import { Field } from "../../ui/Field.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, ErrorState, Skeleton } from "../../ui/states.tsx";
import { type Column, Table } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { useFilters } from "../../ui/useFilters.ts";
import { COMMODITIES, CommodityName } from "../../ui/words.tsx";
import { DeviceState } from "./DeviceState.tsx";

const COLUMNS: Column<Device>[] = [
  {
    head: "Device",
    cell: (device) => <Link to={`/devices/${encodeURIComponent(device.device_id)}`}>{device.device_id}</Link>,
  },
  { head: "What", cell: (device) => <CommodityName commodity={device.commodity} /> },
  { head: "State", cell: (device) => <DeviceState device={device} /> },
  {
    head: "Last heard from",
    cell: (device) =>
      device.live ? (
        <Time at={device.live.event_at} zone={device.zone} />
      ) : (
        <span className="muted">Never</span>
      ),
    wide: true,
  },
  { head: "Site", cell: (device) => device.site_id, wide: true },
  {
    head: "Customer",
    cell: (device) => device.customer_id ?? <span className="muted">None</span>,
    wide: true,
  },
  {
    head: "Alerts",
    cell: (device) =>
      device.open_alerts > 0 ? (
        <strong>{count(device.open_alerts)}</strong>
      ) : (
        <span className="muted">0</span>
      ),
    numeric: true,
  },
];

export default function DevicesPage() {
  const me = useMe();
  const mayAdd = useCan("devices.write");
  const [filter, setFilter] = useFilters();
  const query = {
    q: filter("q"),
    state: filter("state"),
    commodity: filter("commodity"),
    site_id: filter("site_id"),
  };
  const devices = usePages<Device>("/v1/devices", { ...query, limit: 50 }, { keep: true });
  const filtered = Object.values(query).some((value) => value !== "");

  return (
    <Page
      title={pageLabel("devices", me.role)}
      intro="Times are in the zone of each device's site"
      actions={
        mayAdd && (
          <Link className="button" to="/onboarding">
            Register devices
          </Link>
        )
      }
    >
      <search className="filters">
        <Search value={query.q} onChange={(q) => setFilter({ q })} />
        <Field label="State">
          <select value={query.state} onChange={(event) => setFilter({ state: event.target.value })}>
            <option value="">Any</option>
            <option value="live">Live</option>
            <option value="silent">Silent</option>
            <option value="power_off">Without power</option>
          </select>
        </Field>
        <Field label="What">
          <select value={query.commodity} onChange={(event) => setFilter({ commodity: event.target.value })}>
            <option value="">Everything</option>
            {Object.entries(COMMODITIES).map(([id, { text }]) => (
              <option key={id} value={id}>
                {text}
              </option>
            ))}
          </select>
        </Field>
      </search>
      <Card
        flush
        title="Devices"
        note={
          devices.isSuccess
            ? `${count(devices.items.length)}${devices.hasNextPage ? " and more" : ""} found`
            : undefined
        }
      >
        {devices.isPending && (
          <div className="pad">
            <Skeleton lines={8} />
          </div>
        )}
        {devices.isError && <ErrorState error={devices.error} onRetry={devices.refetch} />}
        {devices.isSuccess && devices.items.length === 0 && (
          <Empty title={filtered ? "No device fits" : "No devices yet"}>
            {filtered
              ? "Try fewer words, or take a filter away."
              : "They appear here as soon as they are registered."}
          </Empty>
        )}
        {devices.items.length > 0 && (
          <Table
            label="Devices"
            columns={COLUMNS}
            rows={devices.items}
            rowKey={(device) => device.device_id}
          />
        )}
        <More query={devices} shown={devices.items.length} />
      </Card>
    </Page>
  );
}

/** Searches a moment after the last key, not at each. */
function Search({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), 250);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <Field label="Search" className="grow">
      <input
        type="search"
        placeholder="Device, site or customer"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </Field>
  );
}
