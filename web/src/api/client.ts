import { Problem, problemOf } from "./problem.ts";

export type Query = Record<string, string | number | boolean | null | undefined>;

/** What the client needs from the session. */
export interface Credentials {
  token(): Promise<string | null>;
  /** Called after a 401: a fresh token, or null when the session has ended. */
  renewed(): Promise<string | null>;
}

export function url(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** The API of the service `dashboard`, for one tenant. */
export class Api {
  readonly tenant: string | null;
  readonly #credentials: Credentials;

  constructor(credentials: Credentials, tenant: string | null) {
    this.#credentials = credentials;
    this.tenant = tenant;
  }

  async get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
    const response = await this.send(path, query, signal ? { signal } : {});
    return (await response.json()) as T;
  }

  async put<T>(path: string, body: unknown): Promise<T> {
    return this.#withBody<T>("PUT", path, JSON.stringify(body), "application/json");
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#withBody<T>("POST", path, JSON.stringify(body), "application/json");
  }

  async postCsv<T>(path: string, text: string): Promise<T> {
    return this.#withBody<T>("POST", path, text, "text/csv");
  }

  /** A successful answer with the caller's token and tenant; everything else is thrown as a Problem. */
  async send(path: string, query: Query = {}, init: RequestInit = {}): Promise<Response> {
    const target = url(path, this.tenant === null ? query : { ...query, tenant_id: this.tenant });
    let response = await this.#fetch(target, init, await this.#credentials.token());
    if (response.status === 401) {
      const token = await this.#credentials.renewed();
      if (token !== null) response = await this.#fetch(target, init, token);
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  async #withBody<T>(method: string, path: string, body: string, type: string): Promise<T> {
    const response = await this.send(path, {}, { method, body, headers: { "content-type": type } });
    const text = await response.text();
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  async #fetch(target: string, init: RequestInit, token: string | null): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    try {
      return await fetch(target, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Problem(0, {
        detail: "The service could not be reached. Check your connection and try again.",
      });
    }
  }
}
