import { ErrorState } from "../ui/states.tsx";

/** Shown when not even the configuration could be read. */
export function StartFailed({ error }: { error: unknown }) {
  return (
    <main className="alone">
      <ErrorState error={error} onRetry={() => location.reload()} />
    </main>
  );
}
