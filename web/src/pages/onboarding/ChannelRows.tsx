import { Plus, Trash2 } from "lucide-react";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Field } from "../../ui/Field.tsx";
import { Notice } from "../../ui/states.tsx";
import type { ChannelDraft, Wrong } from "./form.ts";

interface Props {
  channels: ChannelDraft[];
  wrong: Wrong;
  onChange: (channels: ChannelDraft[]) => void;
}

const NEW: ChannelDraft = {
  channel: "",
  kind: "INTERVAL",
  unit: "kWh",
  interval_s: "1800",
  multiplier: "1",
  register_digits: "",
};

export function ChannelRows({ channels, wrong, onChange }: Props) {
  const change = (i: number, changes: Partial<ChannelDraft>) =>
    onChange(channels.map((row, at) => (at === i ? { ...row, ...changes } : row)));
  const input = (i: number, name: keyof ChannelDraft, label: string, disabled = false) => (
    <Field label={label} error={wrong[`channels.${i}.${name}`]}>
      <input
        value={disabled ? "" : (channels[i]?.[name] ?? "")}
        disabled={disabled}
        autoComplete="off"
        onChange={(event) => change(i, { [name]: event.target.value })}
      />
    </Field>
  );
  return (
    <Card
      title="Channels"
      note="What the device reports: an OBIS code or a plain name each"
      actions={
        <Button icon={<Plus size={16} />} onClick={() => onChange([...channels, { ...NEW }])}>
          Add a channel
        </Button>
      }
    >
      {wrong.channels && <Notice tone="bad" title={wrong.channels} />}
      <ul className="list">
        {channels.map((row, i) => (
          <li key={i} className="channel-row">
            {input(i, "channel", "Channel")}
            <Field label="Kind" error={wrong[`channels.${i}.kind`]}>
              <select
                value={row.kind}
                onChange={(event) => change(i, { kind: event.target.value as ChannelDraft["kind"] })}
              >
                <option value="INTERVAL">Interval</option>
                <option value="REGISTER">Register</option>
                <option value="GAUGE">Gauge</option>
              </select>
            </Field>
            {input(i, "unit", "Unit")}
            {input(i, "interval_s", "Interval in s", row.kind !== "INTERVAL")}
            {input(i, "multiplier", "Multiplier")}
            {input(i, "register_digits", "Digits", row.kind !== "REGISTER")}
            <Button
              kind="quiet"
              aria-label={`Remove channel ${row.channel || i + 1}`}
              icon={<Trash2 size={17} />}
              onClick={() => onChange(channels.filter((_, at) => at !== i))}
            />
          </li>
        ))}
      </ul>
    </Card>
  );
}
