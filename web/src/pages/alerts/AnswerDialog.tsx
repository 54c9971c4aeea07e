import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { Alert } from "../../api/contract.ts";
import { useApi } from "../../app/context.tsx";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { alertKindOf } from "../../ui/words.tsx";

export type Answer = "acknowledge" | "normal";

const TEXTS: Record<Answer, { title: string; about: string; action: string }> = {
  acknowledge: {
    title: "Acknowledge",
    about:
      "Everybody who sees this alert then sees that you know about it. It stays open until its cause is gone.",
    action: "Acknowledge",
  },
  normal: {
    title: "This is normal",
    about:
      "You say that this use is as it should be, a filling pool for instance. Nobody needs to look for a fault.",
    action: "Declare normal",
  },
};

interface Props {
  alert: Alert;
  answer: Answer;
  onClose: () => void;
}

export function AnswerDialog({ alert, answer, onClose }: Props) {
  const api = useApi();
  const queries = useQueryClient();
  const [note, setNote] = useState("");
  const { title, about, action } = TEXTS[answer];
  const send = useMutation<Alert, Error>({
    mutationFn: () =>
      api.post<Alert>(`/v1/alerts/${encodeURIComponent(alert.alert_id)}/${answer}`, { note: note.trim() }),
    onSuccess: async () => {
      await Promise.all(
        ["/v1/alerts", "/v1/overview"].map((path) => queries.invalidateQueries({ queryKey: [path] })),
      );
      onClose();
    },
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    send.mutate();
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <p>
          {alertKindOf(alert.kind).text} of <strong>{alert.device_id}</strong>. {about}
        </p>
        <Field label="Note" hint="Optional. Others can read it.">
          <textarea value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} />
        </Field>
        {send.isError && <ErrorState error={send.error} />}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={send.isPending}>
            {send.isPending ? "Sending…" : action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
