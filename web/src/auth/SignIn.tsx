import { ArrowRight, LogIn } from "lucide-react";
import { useState } from "react";
import type { WebConfig } from "../api/contract.ts";
import { useBase } from "../app/context.tsx";
import { useTitle } from "../app/title.ts";
import { Brand } from "../ui/Brand.tsx";
import { Button } from "../ui/Button.tsx";
import { Notice } from "../ui/states.tsx";
import { ROLE_TEXT } from "./permissions.ts";

export function SignIn({ failure }: { failure: string | null }) {
  const { config, session } = useBase();
  const [problem, setProblem] = useState(failure);
  const [leaving, setLeaving] = useState(false);
  useTitle("Sign in");

  function signIn(username?: string) {
    setLeaving(true);
    const path = location.pathname + location.search;
    session.signIn(path, username).catch((error: unknown) => {
      setLeaving(false);
      setProblem(
        `The sign-in service did not answer (${error instanceof Error ? error.message : "unknown reason"}).`,
      );
    });
  }

  return (
    <main className="signin">
      <section className="signin-card" aria-labelledby="signin-title">
        <Brand />
        <div>
          <h1 id="signin-title">Your meters, complete and current</h1>
          <p className="muted">
            Consumption, alerts and live state of electricity, water and gas, for utilities and their
            customers.
          </p>
        </div>
        {problem && (
          <Notice tone="bad" title="Signing in did not work">
            {problem}
          </Notice>
        )}
        <Button kind="primary" icon={<LogIn size={17} />} disabled={leaving} onClick={() => signIn()}>
          {leaving ? "Going to the sign-in service…" : "Sign in"}
        </Button>
        {config.demo_users.length > 0 && (
          <DemoUsers users={config.demo_users} disabled={leaving} onPick={signIn} />
        )}
      </section>
    </main>
  );
}

interface DemoProps {
  users: WebConfig["demo_users"];
  disabled: boolean;
  onPick: (username: string) => void;
}

function DemoUsers({ users, disabled, onPick }: DemoProps) {
  return (
    <section aria-labelledby="demo-title" className="demo">
      <h2 id="demo-title">This is a demonstration</h2>
      <p className="muted small">Choose who to be. The password is asked for on the next page.</p>
      <ul className="demo-users">
        {users.map((user) => (
          <li key={user.username}>
            <button
              type="button"
              className="choice"
              disabled={disabled}
              onClick={() => onPick(user.username)}
            >
              <span>
                <strong>{ROLE_TEXT[user.role]}</strong>
                <span className="muted small"> {user.label}</span>
              </span>
              <span className="small mono muted">
                {user.username} / {user.password}
              </span>
              <ArrowRight size={16} aria-hidden="true" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
