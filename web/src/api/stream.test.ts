import { expect, it } from "vitest";
import { Problem } from "./problem.ts";
import { backoff, follow, type StreamState } from "./stream.ts";

function body(text: string): Response {
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

async function run(answers: (Response | Error)[]) {
  const control = new AbortController();
  const states: StreamState[] = [];
  const seen: string[] = [];
  const resumed: (string | null)[] = [];
  const waits: number[] = [];
  const send = async (_path: string, _query: unknown, init?: RequestInit) => {
    resumed.push(new Headers(init?.headers).get("last-event-id"));
    const answer = answers.shift();
    if (answers.length === 0) control.abort();
    if (answer instanceof Error || !answer) throw answer;
    return answer;
  };
  await follow(
    {
      api: { send },
      query: {},
      onEvent: (event) => seen.push(event.data),
      onState: (state) => states.push(state),
      sleep: async (ms) => void waits.push(ms),
    },
    control.signal,
  );
  return { states, seen, resumed, waits };
}

it("resumes after the last event it saw, also after failures", async () => {
  const broken = new Problem(503, {});
  const result = await run([
    body("id: a\ndata: 1\n\nid: b\ndata: 2\n\n"),
    broken,
    body("data: 3\n\n"),
    body(""),
  ]);
  expect(result.seen).toEqual(["1", "2", "3"]);
  expect(result.resumed).toEqual([null, "b", "b", "b"]);
});

it("does not hammer a server that refuses it", async () => {
  const result = await run([new Problem(403, {}), body("")]);
  expect(result.states.at(-1)).toBe("refused");
  expect(result.resumed).toHaveLength(1);
});

it("waits longer after each failure, never longer than half a minute", () => {
  expect(backoff(0, () => 0)).toBe(250);
  expect(backoff(0, () => 1)).toBe(500);
  expect(backoff(3, () => 1)).toBe(4000);
  expect(backoff(40, () => 1)).toBe(30_000);
});
