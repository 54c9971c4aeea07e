import { type User, type UserManager, type UserManagerSettings, WebStorageStateStore } from "oidc-client-ts";
import type { Credentials } from "../api/client.ts";
import type { WebConfig } from "../api/contract.ts";

export type SessionState =
  | { status: "starting" }
  | { status: "signed-out"; failure: string | null }
  | { status: "signed-in"; subject: string }
  | { status: "expired"; subject: string };

export const CALLBACK = "/auth/callback";

/** Authorization code with PKCE. Tokens live in this tab's sessionStorage: web/README.md says why. */
export function settings(config: WebConfig, origin: string, storage: Storage): UserManagerSettings {
  return {
    authority: config.issuer,
    client_id: config.client_id,
    scope: config.scope,
    redirect_uri: origin + CALLBACK,
    post_logout_redirect_uri: `${origin}/`,
    response_type: "code",
    automaticSilentRenew: false,
    accessTokenExpiringNotificationTimeInSeconds: 30,
    loadUserInfo: false,
    extraQueryParams: config.audience === "" ? {} : { audience: config.audience },
    userStore: new WebStorageStateStore({ store: storage, prefix: "meterway.session." }),
    stateStore: new WebStorageStateStore({ store: storage, prefix: "meterway.signin." }),
  };
}

/** Where to go after signing in: a path of this app, never an address that somebody else put there. */
export function returnPath(state: unknown): string {
  const path = typeof state === "string" ? state : "/";
  return /^\/(?![/\\])/.test(path) && !path.startsWith(CALLBACK) ? path : "/";
}

export class Session implements Credentials {
  readonly #manager: UserManager;
  #state: SessionState = { status: "starting" };
  #listeners = new Set<() => void>();
  #renewal: Promise<string | null> | null = null;

  constructor(manager: UserManager) {
    this.#manager = manager;
    manager.events.addAccessTokenExpiring(() => void this.renewed());
    manager.events.addAccessTokenExpired(() => void this.renewed());
  }

  get state(): SessionState {
    return this.#state;
  }

  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = () => this.#state;

  /** Picks up the session of this tab, or finishes a sign-in; answers the path to show. */
  async start(location: { pathname: string; search: string }): Promise<string | null> {
    if (location.pathname === CALLBACK) return this.#finish();
    const user = await this.#manager.getUser();
    if (!user) this.#set({ status: "signed-out", failure: null });
    else if (!user.expired || (await this.renewed()) !== null) this.#signedIn(user);
    return null;
  }

  async signIn(path: string, username?: string): Promise<void> {
    const hint = username === undefined ? {} : { login_hint: username, prompt: "login" };
    await this.#manager.signinRedirect({ state: path, ...hint });
  }

  /** Ends the session here and, where the issuer has an address for it, there. */
  async signOut(): Promise<void> {
    const endpoint = await this.#manager.metadataService.getEndSessionEndpoint().catch(() => undefined);
    if (endpoint) return this.#manager.signoutRedirect();
    await this.#manager.removeUser();
    this.#set({ status: "signed-out", failure: null });
  }

  async token(): Promise<string | null> {
    const user = await this.#manager.getUser();
    if (user?.expired) return this.renewed();
    return user?.access_token ?? null;
  }

  /** One renewal at a time, whoever asks. Without success the session counts as expired. */
  renewed(): Promise<string | null> {
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renew(): Promise<string | null> {
    const user = await this.#manager.getUser();
    if (user?.refresh_token) {
      const fresh = await this.#manager.signinSilent().catch(() => null);
      if (fresh) return fresh.access_token;
    }
    this.#set({ status: "expired", subject: user?.profile.sub ?? "" });
    return null;
  }

  async #finish(): Promise<string> {
    try {
      const user = await this.#manager.signinRedirectCallback();
      this.#signedIn(user);
      return returnPath(user.state);
    } catch (error) {
      this.#set({ status: "signed-out", failure: error instanceof Error ? error.message : String(error) });
      return "/";
    }
  }

  #signedIn(user: User) {
    this.#set({ status: "signed-in", subject: user.profile.sub });
  }

  #set(state: SessionState) {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
