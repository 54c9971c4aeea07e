import { useEffect, useRef } from "react";
import { useBase } from "../app/context.tsx";
import { Button } from "../ui/Button.tsx";

/** The page stays behind it as it was, so that nothing that was typed or looked at is gone from sight. */
export function SessionExpired() {
  const { session } = useBase();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const path = location.pathname + location.search;
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby="expired-title"
      onCancel={(event) => event.preventDefault()}
    >
      <h2 id="expired-title">Your session has ended</h2>
      <p>For your safety you were signed out after a while. Sign in again and you come back to this page.</p>
      <div className="row end">
        <Button onClick={() => void session.signOut()}>Sign out</Button>
        <Button kind="primary" onClick={() => void session.signIn(path)}>
          Sign in again
        </Button>
      </div>
    </dialog>
  );
}
