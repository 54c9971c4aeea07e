import type { Channel, Commodity, Role } from "../src/api/contract.ts";
import { chance, pick } from "./random.ts";

export interface FixtureDevice {
  device_id: string;
  tenant_id: string;
  customer_id: string;
  site_id: string;
  gateway_id: string;
  commodity: Commodity;
  customer_class: string;
  zone: string;
  status: "ACTIVE" | "INACTIVE";
  state: "live" | "silent" | "power_off";
  channels: Channel[];
  /** Thousandths of the unit in a usual hour. */
  usual: number;
}

export interface FixtureUser {
  username: string;
  role: Role;
  name: string;
  label: string;
  tenant_id: string | null;
  customer_id: string | null;
}

export const TENANTS = [
  { tenant_id: "northgrid", name: "Northgrid Utilities", status: "ACTIVE", zone: "Europe/London" },
  { tenant_id: "lakeland", name: "Lakeland Water & Light", status: "ACTIVE", zone: "America/Chicago" },
];

const STREETS = ["Mill Lane", "Station Road", "Orchard Close", "Harbour Street", "Chapel Hill", "Meadow Way"];

const interval = (channel: string, unit: string, interval_s: number): Channel => ({
  channel,
  kind: "INTERVAL",
  unit,
  interval_s,
  multiplier: "1",
});

const METERS: { letter: string; commodity: Commodity; usual: number; channels: Channel[] }[] = [
  {
    letter: "e",
    commodity: "ELECTRICITY",
    usual: 420,
    channels: [
      interval("1-0:1.29.0", "kWh", 1800),
      { channel: "1-0:1.8.0", kind: "REGISTER", unit: "kWh", interval_s: null, multiplier: "1" },
    ],
  },
  {
    letter: "w",
    commodity: "WATER",
    usual: 14,
    channels: [
      interval("8-0:1.0.0", "m3", 3600),
      { channel: "water.temperature", kind: "GAUGE", unit: "degC", interval_s: null, multiplier: "1" },
    ],
  },
  { letter: "g", commodity: "GAS", usual: 160, channels: [interval("7-0:3.1.0", "m3", 3600)] },
];

const PATTERN = "ewgeeweeegweeewegewe";

function fleet(tenant: (typeof TENANTS)[number]): FixtureDevice[] {
  const counts: Record<string, number> = {};
  return Array.from({ length: 84 }, (_, i): FixtureDevice => {
    const meter = METERS.find((m) => m.letter === PATTERN[i % PATTERN.length]) ?? METERS[0];
    if (!meter) throw new Error("no meter");
    counts[meter.letter] = (counts[meter.letter] ?? 0) + 1;
    const number = (n: number) => String(n).padStart(5, "0");
    const site = Math.floor(i / 3) + 1;
    const luck = chance(tenant.tenant_id, i, "state");
    return {
      device_id: `${tenant.tenant_id}-${meter.letter}-${number(counts[meter.letter] ?? 0)}`,
      tenant_id: tenant.tenant_id,
      customer_id: `${tenant.tenant_id}-c-${number(site)}`,
      site_id: `${tenant.tenant_id}-s-${number(site)}`,
      gateway_id: `${tenant.tenant_id}-gw-${1 + (i % 4)}`,
      commodity: meter.commodity,
      customer_class: i % 9 === 5 ? "COMMERCIAL" : "RESIDENTIAL",
      zone: tenant.zone,
      status: i === 83 ? "INACTIVE" : "ACTIVE",
      state:
        i > 5 && luck < 0.06 ? "silent" : i > 5 && luck < 0.09 && meter.letter === "e" ? "power_off" : "live",
      channels: meter.channels,
      usual: meter.usual * (0.5 + 1.2 * chance(tenant.tenant_id, i, "scale")),
    };
  });
}

export const DEVICES: FixtureDevice[] = TENANTS.flatMap(fleet);

export const USERS: FixtureUser[] = [
  {
    username: "olivia",
    role: "operator",
    name: "Olivia Osei",
    label: "sees all utilities",
    tenant_id: null,
    customer_id: null,
  },
  {
    username: "tom",
    role: "tenant_admin",
    name: "Tom Aldridge",
    label: "Northgrid",
    tenant_id: "northgrid",
    customer_id: null,
  },
  {
    username: "ana",
    role: "analyst",
    name: "Ana Ferreira",
    label: "Northgrid",
    tenant_id: "northgrid",
    customer_id: null,
  },
  {
    username: "chris",
    role: "customer",
    name: "Chris Webb",
    label: "a home of Northgrid",
    tenant_id: "northgrid",
    customer_id: "northgrid-c-00001",
  },
];

export function addressOf(siteId: string): string {
  return `${1 + Math.floor(chance(siteId, "no") * 90)} ${pick(STREETS, chance(siteId, "street"))}`;
}
