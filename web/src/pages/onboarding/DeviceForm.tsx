import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { Link } from "react-router";
import type { Commodity, Device, Page, Site } from "../../api/contract.ts";
import { Problem } from "../../api/problem.ts";
import { useGet } from "../../api/queries.ts";
import { useApi } from "../../app/context.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Field } from "../../ui/Field.tsx";
import { ErrorState, Notice } from "../../ui/states.tsx";
import { COMMODITIES } from "../../ui/words.tsx";
import { ChannelRows } from "./ChannelRows.tsx";
import { type Draft, emptyDraft, toNewDevice, usualChannels, validate, type Wrong } from "./form.ts";

const ZONES = Intl.supportedValuesOf("timeZone").concat("UTC");
const CLASSES = ["RESIDENTIAL", "COMMERCIAL", "INDUSTRIAL"];

export function DeviceForm() {
  const api = useApi();
  const queries = useQueryClient();
  const sites = useGet<Page<Site>>("/v1/sites", { limit: 500 });
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const [wrong, setWrong] = useState<Wrong>({});
  const form = useRef<HTMLFormElement>(null);
  const send = useMutation<Device, Error, Draft>({
    mutationFn: (filled) => api.post<Device>("/v1/devices", toNewDevice(filled)),
    onSuccess: () => {
      void queries.invalidateQueries();
      setDraft((before) => ({ ...emptyDraft(), site_id: before.site_id, zone: before.zone }));
    },
    onError: (error) =>
      error instanceof Problem &&
      point(Object.fromEntries(error.errors.map((e) => [fieldName(e.field), e.detail]))),
  });

  function point(found: Wrong) {
    setWrong(found);
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
  }

  function set(changes: Partial<Draft>) {
    setDraft({ ...draft, ...changes });
    setWrong((before) => withoutFields(before, Object.keys(changes)));
  }

  function setSite(site_id: string) {
    const known = sites.data?.items.find((site) => site.site_id === site_id);
    set(known ? { site_id, zone: known.zone, address: known.address ?? "" } : { site_id });
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    const found = validate(draft, ZONES);
    if (Object.keys(found).length > 0) point(found);
    else send.mutate(draft);
  }

  const text = (name: Exclude<keyof Draft, "channels">, label: string, hint?: string) => (
    <Field label={label} error={wrong[name]} {...(hint ? { hint } : {})}>
      <input
        value={draft[name]}
        autoComplete="off"
        onChange={(event) => set({ [name]: event.target.value })}
      />
    </Field>
  );

  return (
    <form ref={form} className="stack" noValidate onSubmit={submit}>
      {send.isSuccess && (
        <Notice tone="good" title={`${send.data.device_id} is registered`}>
          <Link to={`/devices/${encodeURIComponent(send.data.device_id)}`}>Open the device</Link>, or fill in
          the next one.
        </Notice>
      )}
      {send.isError && <ErrorState error={send.error} />}
      <Card title="Device">
        <div className="form-grid">
          {text("device_id", "Device", "As the gateway names it")}
          <Field label="What it measures">
            <select
              value={draft.commodity}
              onChange={(event) => {
                const commodity = event.target.value as Commodity;
                set({ commodity, channels: usualChannels(commodity) });
              }}
            >
              {Object.entries(COMMODITIES).map(([id, { text: name }]) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </Field>
          {text("gateway_id", "Gateway (optional)")}
        </div>
      </Card>
      <Card title="Place and customer">
        <div className="form-grid">
          <Field label="Site" hint="A new name makes a new site" error={wrong.site_id}>
            <input
              list="sites"
              value={draft.site_id}
              autoComplete="off"
              onChange={(event) => setSite(event.target.value)}
            />
          </Field>
          <datalist id="sites">
            {sites.data?.items.map((site) => (
              <option key={site.site_id} value={site.site_id}>
                {site.address ?? site.zone}
              </option>
            ))}
          </datalist>
          <Field label="Time zone of the site" hint="Days begin and end in this zone" error={wrong.zone}>
            <input
              list="zones"
              value={draft.zone}
              autoComplete="off"
              onChange={(event) => set({ zone: event.target.value })}
            />
          </Field>
          <datalist id="zones">
            {ZONES.map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
          {text("address", "Address (optional)")}
          {text("customer_id", "Customer (optional)")}
          {text("customer_name", "Customer's name (optional)")}
          <Field label="Class">
            <select
              value={draft.customer_class}
              onChange={(event) => set({ customer_class: event.target.value })}
            >
              {CLASSES.map((name) => (
                <option key={name} value={name}>
                  {name.charAt(0) + name.slice(1).toLowerCase()}
                </option>
              ))}
            </select>
          </Field>
        </div>
      </Card>
      <ChannelRows channels={draft.channels} wrong={wrong} onChange={(channels) => set({ channels })} />
      <div className="row end">
        <Button
          onClick={() => {
            setDraft(emptyDraft());
            setWrong({});
            send.reset();
          }}
        >
          Clear
        </Button>
        <Button kind="primary" type="submit" disabled={send.isPending}>
          {send.isPending ? "Registering…" : "Register the device"}
        </Button>
      </div>
    </form>
  );
}

/** A field that is being changed is no longer known to be wrong. */
function withoutFields(wrong: Wrong, fields: string[]): Wrong {
  return Object.fromEntries(
    Object.entries(wrong).filter(([name]) => !fields.includes(name.split(".")[0] ?? "")),
  );
}

/** The server may say `channels[0].unit` for our `channels.0.unit`. */
function fieldName(field: string): string {
  return field.replace(/\[(\d+)\]/g, ".$1");
}
