import type { Api, Query } from "./client.ts";
import { Problem } from "./problem.ts";
import { SseParser, type StreamEvent } from "./sse.ts";

export type StreamState = "connecting" | "open" | "waiting" | "refused";

export interface StreamOptions {
  api: Pick<Api, "send">;
  query: Query;
  onEvent(event: StreamEvent): void;
  onState(state: StreamState, retryAt?: number): void;
  /** Resolves after the time or when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** The server pings every 15 s: so long a silence means that the line is dead. */
const SILENCE = 45_000;

export function backoff(failures: number, random = Math.random): number {
  const full = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
  return full / 2 + (random() * full) / 2;
}

/** Follows /v1/stream until the signal aborts: resumes after the last event seen, waits longer after each failure. */
export async function follow(options: StreamOptions, signal: AbortSignal): Promise<void> {
  const sleep = options.sleep ?? rest;
  let lastId = "";
  let failures = 0;
  while (!signal.aborted) {
    options.onState("connecting");
    try {
      await once(options, lastId, signal, (event) => {
        if (event.id !== "") lastId = event.id;
        failures = 0;
        options.onEvent(event);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && !error.transient) return options.onState("refused");
    }
    if (signal.aborted) return;
    const wait = backoff(failures++);
    options.onState("waiting", Date.now() + wait);
    await sleep(wait, signal);
  }
}

async function once(
  { api, query, onState }: StreamOptions,
  lastId: string,
  signal: AbortSignal,
  onEvent: (event: StreamEvent) => void,
) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (lastId !== "") headers["last-event-id"] = lastId;
  try {
    const joined = AbortSignal.any([signal, silence.signal]);
    const response = await api.send("/v1/stream", query, { headers, signal: joined, cache: "no-store" });
    if (!response.body) return;
    onState("open");
    const parser = new SseParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      for (const event of parser.push(value)) onEvent(event);
    }
  } finally {
    clearTimeout(timer);
  }
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
