import { describe, expect, it } from "vitest";
import { SseParser } from "./sse.ts";

const stream = ': hello\n\nevent: reading\nid: 7\ndata: {"a":\ndata: 1}\n\nevent: ping\ndata:x\n\n';
const expected = [
  { id: "7", event: "reading", data: '{"a":\n1}' },
  { id: "7", event: "ping", data: "x" },
];

describe("SseParser", () => {
  it.each([
    ["\n", "newlines"],
    ["\r\n", "both"],
    ["\r", "returns"],
  ])("reads lines that end in %j, cut at every place", (end) => {
    const text = stream.replaceAll("\n", end);
    for (let cut = 0; cut <= text.length; cut++) {
      const parser = new SseParser();
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]).toEqual(expected);
    }
  });

  it("reads one character at a time", () => {
    const parser = new SseParser();
    expect([...stream.replaceAll("\n", "\r\n")].flatMap((c) => parser.push(c))).toEqual(expected);
  });

  it("keeps an unfinished event to itself", () => {
    const parser = new SseParser();
    expect(parser.push("data: half")).toEqual([]);
    expect(parser.push("\n")).toEqual([]);
    expect(parser.push("\n")).toEqual([{ id: "", event: "message", data: "half" }]);
  });

  it("takes the time to reconnect, if it is one", () => {
    const parser = new SseParser();
    parser.push("retry: 2500\nretry: soon\n");
    expect(parser.retry).toBe(2500);
  });

  it("sends no event without data", () => {
    expect(new SseParser().push("event: x\nid: 1\n\n")).toEqual([]);
  });
});
