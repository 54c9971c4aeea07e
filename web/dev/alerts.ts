import type { Alert, AlertKind, Severity } from "../src/api/contract.ts";
import { chance } from "./random.ts";
import { leaks } from "./readings.ts";
import { DEVICES, type FixtureDevice } from "./world.ts";

const HOUR = 3_600_000;

function alert(
  device: FixtureDevice,
  kind: AlertKind,
  severity: Severity,
  opened: number,
  detail: string,
  closed: number | null = null,
): Alert {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    alert_id: `${device.device_id}:${kind}:${Math.floor(opened / HOUR)}`,
    device_id: device.device_id,
    site_id: device.site_id,
    customer_id: device.customer_id,
    kind,
    severity,
    state: closed === null ? "OPENED" : "CLOSED",
    revision: closed === null ? 1 : 2,
    opened_at: iso(opened),
    updated_at: iso(closed ?? opened),
    closed_at: closed === null ? null : iso(closed),
    detail,
    zone: device.zone,
    acknowledgement: null,
  };
}

/** All alerts of the world, newest first. */
export function makeAlerts(now: number): Alert[] {
  const list: Alert[] = [];
  for (const device of DEVICES) {
    const luck = (name: string) => chance(device.device_id, name);
    const ago = (name: string, hours: number) => now - luck(`${name} when`) * hours * HOUR - HOUR / 3;
    if (device.state === "power_off")
      list.push(
        alert(device, "OUTAGE", "CRITICAL", now - 5 * HOUR, "The meter lost power and has not come back."),
      );
    if (device.state === "silent")
      list.push(
        alert(
          device,
          "SILENT_METER",
          "WARNING",
          now - 36 * HOUR,
          "Nothing was heard from the meter for 36 hours.",
        ),
      );
    if (leaks(device))
      list.push(
        alert(
          device,
          "CONTINUOUS_FLOW",
          luck("bad leak") < 0.3 ? "CRITICAL" : "WARNING",
          ago("leak", 90),
          "Water has been flowing in every hour of the last 24.",
        ),
      );
    if (luck("battery") < 0.05)
      list.push(alert(device, "LOW_BATTERY", "INFO", ago("battery", 300), "The battery is below 15 %."));
    if (luck("tamper") < 0.03)
      list.push(alert(device, "TAMPER", "CRITICAL", ago("tamper", 60), "The terminal cover was opened."));
    if (luck("usage") < 0.07)
      list.push(
        alert(
          device,
          "HIGH_USAGE",
          "WARNING",
          ago("usage", 120),
          "Yesterday's use was three times that of the same weekday before.",
        ),
      );
    if (luck("old") < 0.3) {
      const opened = ago("old", 600) - 40 * HOUR;
      list.push(
        alert(
          device,
          device.commodity === "ELECTRICITY" ? "OUTAGE" : "SILENT_METER",
          "WARNING",
          opened,
          "It was over after a few hours.",
          opened + 7 * HOUR,
        ),
      );
    }
  }
  const first = DEVICES[0];
  if (first)
    list.push(
      alert(
        first,
        "HIGH_USAGE",
        "WARNING",
        now - 30 * HOUR,
        "Yesterday's use was three times that of the same weekday before.",
      ),
    );
  return list.sort((a, b) => b.opened_at.localeCompare(a.opened_at));
}
