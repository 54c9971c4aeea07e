import type { Alert, LiveReading } from "../../api/contract.ts";

export type FeedItem =
  | { key: string; type: "reading"; seenAt: number; reading: LiveReading }
  | { key: string; type: "alert"; seenAt: number; alert: Alert };

export interface Feed {
  items: FeedItem[];
  /** Arrived since the pause began; shown when it ends. */
  held: FeedItem[];
  paused: boolean;
  received: number;
  dropped: number;
}

export const EMPTY_FEED: Feed = { items: [], held: [], paused: false, received: 0, dropped: 0 };

const LONGEST = 200;

export function arrived(feed: Feed, batch: FeedItem[]): Feed {
  const newest = [...batch].reverse();
  const received = feed.received + batch.length;
  if (feed.paused) return { ...feed, received, held: [...newest, ...feed.held].slice(0, LONGEST) };
  return { ...feed, received, items: [...newest, ...feed.items].slice(0, LONGEST) };
}

export function dropped(feed: Feed, count: number): Feed {
  return { ...feed, dropped: feed.dropped + count };
}

export function paused(feed: Feed, on: boolean): Feed {
  if (on) return { ...feed, paused: true };
  return { ...feed, paused: false, held: [], items: [...feed.held, ...feed.items].slice(0, LONGEST) };
}
