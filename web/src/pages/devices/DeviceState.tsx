import type { Device } from "../../api/contract.ts";
import { Badge } from "../../ui/Badge.tsx";
import { useNow } from "../../ui/useNow.ts";
import { deviceState } from "./state.ts";

const TEXTS = {
  live: { text: "Live", tone: "good" },
  silent: { text: "Silent", tone: "warn" },
  power_off: { text: "Without power", tone: "bad" },
  inactive: { text: "Not in service", tone: "neutral" },
  retired: { text: "Retired", tone: "neutral" },
} as const;

export function DeviceState({ device }: { device: Device }) {
  const { text, tone } = TEXTS[deviceState(device, useNow())];
  return <Badge tone={tone}>{text}</Badge>;
}
