import { expect, it } from "vitest";
import { arrived, dropped, EMPTY_FEED, type FeedItem, paused } from "./feed.ts";

const item = (key: string) => ({ key, type: "reading", seenAt: 0 }) as FeedItem;
const keys = (items: FeedItem[]) => items.map((i) => i.key).join("");

it("shows the newest first", () => {
  const feed = arrived(arrived(EMPTY_FEED, [item("a"), item("b")]), [item("c")]);
  expect(keys(feed.items)).toBe("cba");
});

it("holds back what comes during a pause, and shows it afterwards", () => {
  let feed = paused(arrived(EMPTY_FEED, [item("a")]), true);
  feed = arrived(feed, [item("b"), item("c")]);
  expect(keys(feed.items)).toBe("a");
  expect(feed.held).toHaveLength(2);
  feed = paused(feed, false);
  expect(keys(feed.items)).toBe("cba");
  expect(feed.held).toEqual([]);
});

it("does not grow without end, and counts all", () => {
  let feed = EMPTY_FEED;
  for (let i = 0; i < 500; i++) feed = arrived(feed, [item("x")]);
  expect(feed.items).toHaveLength(200);
  expect(feed.received).toBe(500);
  expect(dropped(feed, 7).dropped).toBe(7);
});
