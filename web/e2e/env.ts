import type { Role } from "../src/api/contract.ts";

/** Any installation of the dashboard; without one, the built app over the fixtures of dev/. */
export const BASE_URL = process.env.METERWAY_E2E_URL ?? "http://127.0.0.1:14010";

export const CHROMIUM = process.env.METERWAY_CHROMIUM ?? "/usr/bin/chromium";

export interface TestUser {
  username: string;
  password: string;
}

/** METERWAY_E2E_USERS='{"customer":{"username":"…","password":"…"}}'; a role that is not named is taken from the demo users. */
export const USERS = JSON.parse(process.env.METERWAY_E2E_USERS ?? "{}") as Partial<Record<Role, TestUser>>;
