import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import type { WebConfig } from "../src/api/contract.ts";
import { type Answer, alertsOf, answer, Refusal, seen } from "./api.ts";
import { CLIENT, startSignIn } from "./signin.ts";
import { streamTo } from "./stream.ts";
import { type FixtureUser, USERS } from "./world.ts";

function config(issuer: string): WebConfig {
  return {
    issuer,
    client_id: CLIENT,
    audience: CLIENT,
    scope: "openid profile",
    product: "Meterway",
    demo_users: USERS.map(({ username, role, label }) => ({ username, password: "demo", role, label })),
    docs: [{ label: "Runbooks", url: "/docs/runbooks" }],
  };
}

/** Who the token names. Nothing is verified: these are fixtures. */
function userOf(request: IncomingMessage): FixtureUser {
  const payload = request.headers.authorization?.split(".")[1];
  if (!payload) throw new Refusal(401, "Sign in first");
  const { sub } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { sub: string };
  const user = USERS.find((u) => u.username === sub);
  if (!user) throw new Refusal(401, "Sign in first");
  return user;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, result: Answer) {
  if ("json" in result) {
    response.writeHead(result.status ?? 200, {
      "content-type": "application/json",
      "cache-control": "private, no-cache",
    });
    response.end(JSON.stringify(result.json));
  } else {
    response.writeHead(200, { "content-type": result.type });
    response.end(result.text);
  }
}

function refuse(response: ServerResponse, error: unknown) {
  const { status, message, detail, errors } =
    error instanceof Refusal ? error : new Refusal(500, "The fixtures failed", String(error));
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(
    JSON.stringify({
      type: "about:blank",
      title: message,
      status,
      detail,
      request_id: "fixture-0001",
      errors,
    }),
  );
}

function handler(issuer: Promise<string>): Connect.NextHandleFunction {
  return async (request, response, next) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    if (!url.pathname.startsWith("/v1/")) return next();
    try {
      if (url.pathname === "/v1/config") return send(response, { json: config(await issuer) });
      const user = userOf(request);
      if (url.pathname === "/v1/stream") {
        const devices = seen(user, url.searchParams);
        return streamTo(response, devices, alertsOf(devices));
      }
      const body = await bodyOf(request);
      send(
        response,
        answer({ method: request.method ?? "GET", path: url.pathname, query: url.searchParams, body, user }),
      );
    } catch (error) {
      refuse(response, error);
    }
  };
}

/** Vite restarts when a fixture changes; the issuer stays, with its sessions. */
const kept = globalThis as { meterwaySignIn?: Promise<string> };

function signIn(port: number): Promise<string> {
  kept.meterwaySignIn ??= startSignIn(port);
  return kept.meterwaySignIn;
}

/** The policy that web/README.md asks of the service, so that the specs find what breaks under it. */
function strict(issuer: Promise<string>): Connect.NextHandleFunction {
  return async (_request, response, next) => {
    const policy = `default-src 'self'; connect-src 'self' ${await issuer}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'`;
    response.setHeader("content-security-policy", policy);
    next();
  };
}

export function fixtures(signInPort: number): Plugin {
  return {
    name: "meterway-fixtures",
    configureServer: (server) => void server.middlewares.use(handler(signIn(signInPort))),
    configurePreviewServer: (server) => {
      server.middlewares.use(strict(signIn(signInPort)));
      server.middlewares.use(handler(signIn(signInPort)));
    },
  };
}
