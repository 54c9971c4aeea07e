import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Api, url } from "./client.ts";
import type { Problem } from "./problem.ts";

const answers: (Response | Error)[] = [];
const asked: { target: string; token: string | null }[] = [];

beforeEach(() => {
  vi.stubGlobal("fetch", async (target: string, init: RequestInit) => {
    asked.push({ target, token: new Headers(init.headers).get("authorization") });
    const answer = answers.shift();
    if (answer instanceof Error || !answer) throw answer;
    return answer;
  });
});

afterEach(() => {
  answers.length = 0;
  asked.length = 0;
  vi.unstubAllGlobals();
});

const credentials = (renewed: string | null) => ({
  token: async () => "old",
  renewed: async () => renewed,
});

it("leaves empty filters out of the address and names the tenant", async () => {
  expect(url("/v1/devices", { q: "a b", state: "", limit: 5, cursor: null })).toBe(
    "/v1/devices?q=a+b&limit=5",
  );
  answers.push(Response.json({ items: [] }));
  await new Api(credentials(null), "northgrid").get("/v1/sites");
  expect(asked[0]).toEqual({ target: "/v1/sites?tenant_id=northgrid", token: "Bearer old" });
});

it("asks once more with a renewed token", async () => {
  answers.push(new Response("", { status: 401 }), Response.json({ ok: true }));
  expect(await new Api(credentials("new"), null).get("/v1/me")).toEqual({ ok: true });
  expect(asked.map((a) => a.token)).toEqual(["Bearer old", "Bearer new"]);
});

it("gives up when the session has ended", async () => {
  answers.push(new Response("", { status: 401 }));
  await expect(new Api(credentials(null), null).get("/v1/me")).rejects.toMatchObject({ status: 401 });
  expect(asked).toHaveLength(1);
});

it("carries what the problem says, and the id of the request", async () => {
  const body = {
    title: "No such device",
    detail: "d-1",
    request_id: "r-7",
    errors: [{ field: "zone", detail: "unknown" }, 3],
  };
  answers.push(Response.json(body, { status: 404 }));
  const problem: Problem = await new Api(credentials(null), null).get("/v1/devices/d-1").then(
    () => expect.unreachable(),
    (error) => error,
  );
  expect(problem).toMatchObject({
    status: 404,
    title: "No such device",
    detail: "d-1",
    requestId: "r-7",
    transient: false,
  });
  expect(problem.errors).toEqual([{ field: "zone", detail: "unknown" }]);
});

it("says no connection when nothing answers, and that trying again may help", async () => {
  answers.push(new TypeError("failed"));
  await expect(new Api(credentials(null), null).get("/v1/me")).rejects.toMatchObject({
    status: 0,
    title: "No connection",
    transient: true,
  });
});
