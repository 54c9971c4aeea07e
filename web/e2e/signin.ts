import { expect, type Page } from "@playwright/test";
import type { Role, WebConfig } from "../src/api/contract.ts";
import { BASE_URL, type TestUser, USERS } from "./env.ts";

async function userOf(page: Page, role: Role): Promise<TestUser> {
  const named = USERS[role];
  if (named) return named;
  const config = (await (await page.request.get(`${BASE_URL}/v1/config`)).json()) as WebConfig;
  const user = config.demo_users.find((u) => u.role === role);
  if (!user) throw new Error(`no user for the role ${role}: set METERWAY_E2E_USERS`);
  return user;
}

/** Signs in as somebody of the role, through whatever form the issuer shows, and waits for the app. */
export async function signIn(page: Page, role: Role, path = "/"): Promise<void> {
  const user = await userOf(page, role);
  await page.goto(path);
  const demo = page.locator(".demo-users button", { hasText: `${user.username} /` });
  const plain = page.getByRole("button", { name: "Sign in", exact: true });
  await expect(plain).toBeVisible();
  await ((await demo.count()) > 0 ? demo : plain).click();
  const name = page.locator("input[name=username]");
  const inside = page.locator(".shell, .choices .choice").first();
  await expect(name.or(inside).first()).toBeVisible({ timeout: 30_000 });
  if (await name.isVisible()) {
    await name.fill(user.username);
    await page.locator("input[name=password]").fill(user.password);
    await page.locator("[type=submit]").first().click();
  }
  await expect(inside).toBeVisible({ timeout: 30_000 });
  const tenant = page.locator("main.alone .choices .choice").first();
  if (await tenant.isVisible()) await tenant.click();
  await expect(page.locator(".shell")).toBeVisible();
}

/** Waits until the page has come to rest: no skeletons, no route on its way. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator(".skeleton, .moving")).toHaveCount(0, { timeout: 30_000 });
  await expect(page.locator("main h1").first()).toBeVisible();
}

/** Address of the first device of the list. */
export async function firstDevice(page: Page, q = ""): Promise<string> {
  await page.goto(`/devices?q=${q}`);
  await settled(page);
  const href = await page.locator("main tbody a").first().getAttribute("href");
  if (!href) throw new Error("the list of devices is empty");
  return href;
}
