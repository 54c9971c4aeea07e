// The words, colours and signs of the domain, in one place.
import {
  BatteryLow,
  CircleDot,
  Droplets,
  Flame,
  Info,
  type LucideIcon,
  PlugZap,
  Radio,
  RotateCcw,
  ShieldAlert,
  Thermometer,
  TrendingUp,
  TriangleAlert,
  WifiOff,
  Zap,
} from "lucide-react";
import type { AlertKind, Commodity, Severity, Stage } from "../api/contract.ts";
import { Badge } from "./Badge.tsx";
import type { Tone } from "./states.tsx";

export const COMMODITIES: Record<Commodity, { text: string; color: string; icon: LucideIcon }> = {
  ELECTRICITY: { text: "Electricity", color: "var(--electricity)", icon: Zap },
  WATER: { text: "Water", color: "var(--water)", icon: Droplets },
  GAS: { text: "Gas", color: "var(--gas)", icon: Flame },
  HEAT: { text: "Heat", color: "var(--heat)", icon: Thermometer },
  SENSOR: { text: "Sensor", color: "var(--sensor)", icon: Radio },
};

export const ALERT_KINDS: Record<AlertKind, { text: string; icon: LucideIcon }> = {
  OUTAGE: { text: "Power outage", icon: PlugZap },
  TAMPER: { text: "Tampering", icon: ShieldAlert },
  LOW_BATTERY: { text: "Low battery", icon: BatteryLow },
  CONTINUOUS_FLOW: { text: "Possible leak", icon: Droplets },
  SILENT_METER: { text: "Silent meter", icon: WifiOff },
  HIGH_USAGE: { text: "High usage", icon: TrendingUp },
  REVERSE_FLOW: { text: "Reverse flow", icon: RotateCcw },
  OTHER: { text: "Other", icon: CircleDot },
};

const SEVERITIES: Record<Severity, { text: string; tone: Tone; icon: LucideIcon }> = {
  CRITICAL: { text: "Critical", tone: "bad", icon: ShieldAlert },
  WARNING: { text: "Warning", tone: "warn", icon: TriangleAlert },
  INFO: { text: "Info", tone: "info", icon: Info },
};

export const STAGE_STATES: Record<Stage["state"], { text: string; tone: Tone; color: string }> = {
  ok: { text: "Running", tone: "good", color: "var(--good)" },
  late: { text: "Late", tone: "warn", color: "var(--warn)" },
  down: { text: "Down", tone: "bad", color: "var(--bad)" },
  idle: { text: "Idle", tone: "neutral", color: "var(--muted)" },
};

export const VERDICTS: Record<string, { text: string; tone: Tone }> = {
  VALID: { text: "Valid", tone: "good" },
  SUSPECT: { text: "Suspect", tone: "warn" },
  ESTIMATED: { text: "Estimated", tone: "info" },
};

/** Kinds that a customer may declare to be normal. */
export const MAY_BE_NORMAL: readonly AlertKind[] = ["CONTINUOUS_FLOW", "HIGH_USAGE"];

export function commodityOf(commodity: string) {
  return COMMODITIES[commodity as Commodity] ?? COMMODITIES.SENSOR;
}

export function alertKindOf(kind: string) {
  return ALERT_KINDS[kind as AlertKind] ?? ALERT_KINDS.OTHER;
}

export function CommodityName({ commodity }: { commodity: string }) {
  const { text, color, icon: Icon } = commodityOf(commodity);
  return (
    <span className="with-icon">
      <Icon size={15} color={color} aria-hidden="true" />
      <span className="commodity">{text}</span>
    </span>
  );
}

export function AlertName({ kind }: { kind: string }) {
  const { text, icon: Icon } = alertKindOf(kind);
  return (
    <span className="with-icon">
      <Icon size={15} aria-hidden="true" />
      {text}
    </span>
  );
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  const { text, tone, icon: Icon } = SEVERITIES[severity] ?? SEVERITIES.INFO;
  return (
    <Badge tone={tone} icon={<Icon size={13} />}>
      {text}
    </Badge>
  );
}

export function VerdictBadge({ verdict }: { verdict: string }) {
  const { text, tone } = VERDICTS[verdict] ?? { text: verdict, tone: "neutral" as const };
  return <Badge tone={tone}>{text}</Badge>;
}
