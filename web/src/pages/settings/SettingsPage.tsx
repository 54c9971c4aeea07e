import { ArrowDown, ArrowUp } from "lucide-react";
import type { Settings } from "../../api/contract.ts";
import { useMe } from "../../app/context.tsx";
import { useSaveSettings, useUserSettings } from "../../app/settings.ts";
import { ROLE_TEXT } from "../../auth/permissions.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { ErrorState, Loaded } from "../../ui/states.tsx";
import { CARDS, type CardId, chosenCards, defaultCards } from "../overview/cards.ts";
import { moved } from "./moved.ts";
import "./settings.css";

const THEMES: { value: Settings["theme"]; text: string }[] = [
  { value: "system", text: "As the system" },
  { value: "light", text: "Light" },
  { value: "dark", text: "Dark" },
];

export default function SettingsPage() {
  const settings = useUserSettings();
  const save = useSaveSettings();
  return (
    <Page
      title="Settings"
      intro="They are yours, on every device you sign in with. Each change is saved at once"
    >
      <Loaded query={settings}>
        {(saved) => {
          const shown = save.isPending ? save.variables : saved;
          return (
            <div className="grid">
              <Card title="Colours" className="half">
                <Segmented
                  label="Theme"
                  value={shown.theme}
                  options={THEMES}
                  onChange={(theme) => save.mutate({ ...shown, theme })}
                />
              </Card>
              <You />
              <CardChoice settings={shown} onChange={(cards) => save.mutate({ ...shown, cards })} />
            </div>
          );
        }}
      </Loaded>
      <p role="status" className="small muted">
        {save.isPending ? "Saving…" : save.isSuccess ? "Saved" : ""}
      </p>
      {save.isError && <ErrorState error={save.error} onRetry={() => save.mutate(save.variables)} />}
    </Page>
  );
}

function You() {
  const me = useMe();
  return (
    <Card title="You" className="half">
      <dl className="pairs">
        <dt>Name</dt>
        <dd>{me.name}</dd>
        <dt>Role</dt>
        <dd>{ROLE_TEXT[me.role]}</dd>
        {me.tenant_id && (
          <>
            <dt>Utility</dt>
            <dd>{me.tenant_id}</dd>
          </>
        )}
        {me.customer_id && (
          <>
            <dt>Customer</dt>
            <dd>{me.customer_id}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function CardChoice({ settings, onChange }: { settings: Settings; onChange: (cards: string[]) => void }) {
  const { role } = useMe();
  const shown = chosenCards(role, settings.cards);
  const hidden = defaultCards(role).filter((id) => !shown.includes(id));
  const row = (id: CardId, at: number | null) => (
    <li key={id} className="card-choice">
      <label>
        <input
          type="checkbox"
          checked={at !== null}
          disabled={at !== null && shown.length === 1}
          onChange={() => onChange(at === null ? [...shown, id] : shown.filter((other) => other !== id))}
        />
        {CARDS[id]}
      </label>
      {at !== null && (
        <span className="row">
          <Button
            kind="quiet"
            aria-label={`Move ${CARDS[id]} up`}
            icon={<ArrowUp size={16} />}
            disabled={at === 0}
            onClick={() => onChange(moved(shown, at, at - 1))}
          />
          <Button
            kind="quiet"
            aria-label={`Move ${CARDS[id]} down`}
            icon={<ArrowDown size={16} />}
            disabled={at === shown.length - 1}
            onClick={() => onChange(moved(shown, at, at + 1))}
          />
        </span>
      )}
    </li>
  );
  return (
    <Card
      title="Cards of the start page"
      note="Which ones, and in which order"
      actions={<Button onClick={() => onChange([])}>As at first</Button>}
    >
      <ul className="list">
        {shown.map((id, at) => row(id, at))}
        {hidden.map((id) => row(id, null))}
      </ul>
    </Card>
  );
}
