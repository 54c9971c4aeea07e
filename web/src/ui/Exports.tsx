import { useMutation } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";
import type { Query } from "../api/client.ts";
import { useApi } from "../app/context.tsx";
import { count } from "../lib/format.ts";
import { Button } from "./Button.tsx";
import { Dialog } from "./Dialog.tsx";
import { download } from "./download.ts";
import { ErrorState, Notice } from "./states.tsx";

/** A file that is fetched and saved, or a data set that is made ready at an address of its own. */
export type ExportChoice =
  | { title: string; about: string; path: string; query: Query; file: string }
  | { title: string; about: string; parquet: Record<string, string> };

interface Prepared {
  url: string;
  expires_at: string;
  rows: number;
  bytes: number;
}

/** Exports of exactly what the page shows. */
export function Exports({ choices }: { choices: ExportChoice[] }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button icon={<Download size={16} />} onClick={() => setOpen(true)}>
        Export
      </Button>
      {open && (
        <Dialog title="Export" onClose={() => setOpen(false)}>
          <ul className="choices">
            {choices.map((choice) => (
              <Choice key={choice.title} choice={choice} />
            ))}
          </ul>
        </Dialog>
      )}
    </>
  );
}

function Choice({ choice }: { choice: ExportChoice }) {
  const api = useApi();
  const run = useMutation<Prepared | null, Error>({
    mutationFn: async () => {
      if ("parquet" in choice) return api.post<Prepared>("/v1/exports", choice.parquet);
      await download(api, choice.path, choice.query, choice.file);
      return null;
    },
  });
  return (
    <li>
      <button type="button" className="choice" disabled={run.isPending} onClick={() => run.mutate()}>
        <strong>{choice.title}</strong>
        <span className="muted small">{run.isPending ? "Preparing…" : choice.about}</span>
        <Download size={16} aria-hidden="true" />
      </button>
      {run.isError && <ErrorState error={run.error} />}
      {run.isSuccess && run.data === null && <Notice tone="good" title="Saved to your downloads" />}
      {run.data && (
        <Notice tone="good" title={`${count(run.data.rows)} rows, ${count(run.data.bytes)} bytes`}>
          <a href={run.data.url}>Download the file</a>. The address works until{" "}
          {new Date(run.data.expires_at).toLocaleTimeString()}.
        </Notice>
      )}
    </li>
  );
}
