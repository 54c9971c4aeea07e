import { useEffect, useRef, useState } from "react";
import type { Alert, LiveReading } from "../../api/contract.ts";
import type { StreamEvent } from "../../api/sse.ts";
import { follow, type StreamState } from "../../api/stream.ts";
import { useApi } from "../../app/context.tsx";
import { arrived, dropped, EMPTY_FEED, type Feed, type FeedItem, paused } from "./feed.ts";

/** How often what has arrived is drawn: a thousand events a second are as calm as one. */
const DRAW_EVERY = 200;

export interface Live {
  feed: Feed;
  state: StreamState;
  retryAt: number | null;
  setPaused: (on: boolean) => void;
}

export function useLiveFeed(onAlert: () => void): Live {
  const api = useApi();
  const [feed, setFeed] = useState<Feed>(EMPTY_FEED);
  const [state, setState] = useState<StreamState>("connecting");
  const [retryAt, setRetryAt] = useState<number | null>(null);
  const alerted = useRef(onAlert);
  alerted.current = onAlert;

  useEffect(() => {
    const control = new AbortController();
    let batch: FeedItem[] = [];
    let lost = 0;
    let serial = 0;
    const onEvent = ({ event, data }: StreamEvent) => {
      const key = String(serial++);
      if (event === "reading")
        batch.push({ key, type: "reading", seenAt: Date.now(), reading: JSON.parse(data) as LiveReading });
      else if (event === "alert") {
        batch.push({ key, type: "alert", seenAt: Date.now(), alert: JSON.parse(data) as Alert });
        alerted.current();
      } else if (event === "dropped") lost += (JSON.parse(data) as { count: number }).count;
    };
    const timer = setInterval(() => {
      if (batch.length === 0 && lost === 0) return;
      const [items, count] = [batch, lost];
      batch = [];
      lost = 0;
      setFeed((before) => dropped(arrived(before, items), count));
    }, DRAW_EVERY);
    const onState = (next: StreamState, at?: number) => {
      setState(next);
      setRetryAt(at ?? null);
    };
    setFeed(EMPTY_FEED);
    void follow({ api, query: { kinds: "alert,reading" }, onEvent, onState }, control.signal);
    return () => {
      control.abort();
      clearInterval(timer);
    };
  }, [api]);

  return { feed, state, retryAt, setPaused: (on) => setFeed((before) => paused(before, on)) };
}
