import type { StreamState } from "../../api/stream.ts";
import { Badge } from "../../ui/Badge.tsx";

export function StreamBadge({ state, retryAt }: { state: StreamState; retryAt: number | null }) {
  const wait = retryAt === null ? 0 : Math.max(1, Math.round((retryAt - Date.now()) / 1000));
  return (
    <span role="status">
      {state === "open" && (
        <Badge tone="good" icon={<span className="pulse" />}>
          Connected
        </Badge>
      )}
      {state === "connecting" && <Badge>Connecting…</Badge>}
      {state === "waiting" && <Badge tone="warn">Connection lost, trying again in {wait} s</Badge>}
      {state === "refused" && <Badge tone="bad">The stream is not open to you</Badge>}
    </span>
  );
}
