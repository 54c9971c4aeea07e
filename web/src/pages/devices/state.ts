import type { Device } from "../../api/contract.ts";

/** After so long without a word a meter counts as silent: the same bound as on the server. */
const SILENT_AFTER_MS = 36 * 3_600_000;

export function deviceState(
  device: Device,
  now: number,
): "live" | "silent" | "power_off" | "inactive" | "retired" {
  if (device.status === "RETIRED") return "retired";
  if (device.status === "INACTIVE") return "inactive";
  if (device.live?.power === "OFF") return "power_off";
  if (!device.live || now - Date.parse(device.live.event_at) > SILENT_AFTER_MS) return "silent";
  return "live";
}
