import { CircleAlert, CircleCheck, Inbox, Info, Lock, RefreshCw, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Problem } from "../api/problem.ts";
import { Button } from "./Button.tsx";

/** Stands where content will be, in about its shape. */
export function Skeleton({ lines = 4, height }: { lines?: number; height?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {height ? (
        <span style={{ height }} />
      ) : (
        Array.from({ length: lines }, (_, i) => (
          <span key={i} style={{ width: `${94 - ((i * 23) % 40)}%` }} />
        ))
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="state">
      <Inbox size={26} aria-hidden="true" />
      <p className="state-title">{title}</p>
      {children && <div className="muted">{children}</div>}
    </div>
  );
}

export function NoPermission({ what }: { what: string }) {
  return (
    <div className="state">
      <Lock size={26} aria-hidden="true" />
      <h1 className="state-title">{what} is not open to you</h1>
      <p className="muted">Your role does not include this page. Ask your administrator if you need it.</p>
    </div>
  );
}

interface ErrorProps {
  error: unknown;
  onRetry?: () => unknown;
}

/** What went wrong in the API's own words, with the id that support asks for. */
export function ErrorState({ error, onRetry }: ErrorProps) {
  if (error instanceof Problem && error.status === 403) return <NoPermission what="This part" />;
  const problem = error instanceof Problem ? error : null;
  const detail = problem ? problem.detail : error instanceof Error ? error.message : "";
  return (
    <div className="state bad" role="alert">
      <TriangleAlert size={26} aria-hidden="true" />
      <p className="state-title">{problem?.title ?? "Something went wrong on this page"}</p>
      {detail && <p className="muted">{detail}</p>}
      {problem?.requestId && (
        <p className="small muted">
          Request <code>{problem.requestId}</code>
        </p>
      )}
      {onRetry && (
        <Button icon={<RefreshCw size={16} />} onClick={() => void onRetry()}>
          Try again
        </Button>
      )}
    </div>
  );
}

export type Tone = "good" | "warn" | "bad" | "info" | "neutral";

const NOTICE_ICONS = { good: CircleCheck, warn: TriangleAlert, bad: CircleAlert, info: Info, neutral: Info };

export function Notice({ tone, title, children }: { tone: Tone; title: string; children?: ReactNode }) {
  const Icon = NOTICE_ICONS[tone];
  return (
    <div className={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon size={18} aria-hidden="true" />
      <div>
        <strong>{title}</strong>
        {children && <div>{children}</div>}
      </div>
    </div>
  );
}

interface Loadable<T> {
  data: T | undefined;
  error: Error | null;
  isError: boolean;
  refetch: () => unknown;
}

interface LoadedProps<T> {
  query: Loadable<T>;
  skeleton?: ReactNode;
  children: (data: T) => ReactNode;
}

/** Content of a query, or its loading or error state. Old content stays when only a refresh failed. */
export function Loaded<T>({ query, skeleton, children }: LoadedProps<T>) {
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && (
          <Notice tone="warn" title="This may be out of date">
            The last refresh failed: {query.error?.message}
          </Notice>
        )}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) return <ErrorState error={query.error} onRetry={query.refetch} />;
  return skeleton ?? <Skeleton />;
}
