import { User, UserManager } from "oidc-client-ts";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { WebConfig } from "../api/contract.ts";
import { returnPath, Session, settings } from "./session.ts";

const config: WebConfig = {
  issuer: "https://login.example/realms/meters",
  client_id: "web",
  audience: "meterway",
  scope: "openid profile",
  product: "Meterway",
  demo_users: [],
  docs: [],
};

class MemoryStorage implements Storage {
  #items = new Map<string, string>();
  get length() {
    return this.#items.size;
  }
  clear = () => this.#items.clear();
  getItem = (key: string) => this.#items.get(key) ?? null;
  key = (index: number) => [...this.#items.keys()][index] ?? null;
  removeItem = (key: string) => void this.#items.delete(key);
  setItem = (key: string, value: string) => void this.#items.set(key, value);
}

let storage: MemoryStorage;
let manager: UserManager;

beforeEach(() => {
  storage = new MemoryStorage();
  manager = new UserManager({
    ...settings(config, "https://meters.example", storage),
    metadata: {
      issuer: config.issuer,
      authorization_endpoint: `${config.issuer}/auth`,
      token_endpoint: `${config.issuer}/token`,
    },
  });
});

function user(expiresIn: number, refresh: boolean) {
  return new User({
    access_token: `t${expiresIn}`,
    token_type: "Bearer",
    profile: { sub: "ana", iss: config.issuer, aud: "web", exp: 0, iat: 0 },
    expires_at: Math.floor(Date.now() / 1000) + expiresIn,
    ...(refresh ? { refresh_token: "r" } : {}),
  });
}

describe("sign-in", () => {
  it("asks for a code with an S256 challenge whose verifier stays in this tab", async () => {
    const client = (
      manager as unknown as { _client: { createSigninRequest(args: object): Promise<{ url: string }> } }
    )._client;
    const { url } = await client.createSigninRequest({
      request_type: "si:r",
      redirect_uri: "https://meters.example/auth/callback",
    });
    const query = new URL(url).searchParams;
    expect(query.get("response_type")).toBe("code");
    expect(query.get("code_challenge_method")).toBe("S256");
    expect(query.get("audience")).toBe("meterway");
    const kept = JSON.parse(storage.getItem(`meterway.signin.${query.get("state")}`) ?? "{}");
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(kept.code_verifier));
    expect(Buffer.from(digest).toString("base64url")).toBe(query.get("code_challenge"));
    expect(url).not.toContain(kept.code_verifier);
  });

  it("goes back to a path of this app only", () => {
    expect(returnPath("/devices?q=a")).toBe("/devices?q=a");
    for (const state of [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "/auth/callback?code=1",
      7,
      undefined,
    ]) {
      expect(returnPath(state)).toBe("/");
    }
  });
});

describe("a session", () => {
  it("survives a reload of the tab", async () => {
    await manager.storeUser(user(300, true));
    const session = new Session(manager);
    await session.start({ pathname: "/", search: "" });
    expect(session.state).toEqual({ status: "signed-in", subject: "ana" });
    expect(await session.token()).toBe("t300");
  });

  it("renews itself once for all who ask", async () => {
    await manager.storeUser(user(-5, true));
    const silent = vi.spyOn(manager, "signinSilent").mockResolvedValue(user(600, true));
    const session = new Session(manager);
    expect(await Promise.all([session.token(), session.token()])).toEqual(["t600", "t600"]);
    expect(silent).toHaveBeenCalledTimes(1);
  });

  it("is expired, not signed out, when it cannot be renewed: the page stays", async () => {
    await manager.storeUser(user(-5, true));
    vi.spyOn(manager, "signinSilent").mockRejectedValue(new Error("invalid_grant"));
    const session = new Session(manager);
    await session.start({ pathname: "/alerts", search: "" });
    expect(session.state).toEqual({ status: "expired", subject: "ana" });
    expect(await session.token()).toBeNull();
  });

  it("says why a sign-in failed", async () => {
    vi.spyOn(manager, "signinRedirectCallback").mockRejectedValue(new Error("access denied"));
    const session = new Session(manager);
    expect(await session.start({ pathname: "/auth/callback", search: "?error=access_denied" })).toBe("/");
    expect(session.state).toEqual({ status: "signed-out", failure: "access denied" });
  });
});
