import { expect, test } from "@playwright/test";
import { settled, signIn } from "./signin.ts";

test("signing in comes back to the page that was asked for, and survives a reload", async ({ page }) => {
  await signIn(page, "tenant_admin", "/devices?commodity=WATER");
  await expect(page).toHaveURL(/\/devices\?commodity=WATER$/);
  await settled(page);
  await page.reload();
  await settled(page);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Devices");
});

test("no token is left in the address or in lasting storage", async ({ page }) => {
  await signIn(page, "tenant_admin");
  expect(page.url()).not.toMatch(/code=|token/);
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toMatch(/token/);
});

test("signing out ends the session", async ({ page }) => {
  await signIn(page, "tenant_admin");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in", exact: true })).toBeVisible({ timeout: 30_000 });
  await page.goto("/devices");
  await expect(page.getByRole("button", { name: "Sign in", exact: true })).toBeVisible();
});

test("a session that has ended says so, over the page as it was", async ({ page }) => {
  await signIn(page, "tenant_admin", "/devices");
  await settled(page);
  await page.route("**/v1/**", (route) =>
    route.fulfill({
      status: 401,
      contentType: "application/problem+json",
      body: '{"title":"The token has expired"}',
    }),
  );
  await page.evaluate(() => {
    for (const key of Object.keys(sessionStorage)) {
      const user = JSON.parse(sessionStorage.getItem(key) ?? "null");
      if (user?.refresh_token)
        sessionStorage.setItem(key, JSON.stringify({ ...user, refresh_token: undefined }));
    }
  });
  await page.getByLabel("State").selectOption("silent");
  await expect(page.getByRole("dialog", { name: "Your session has ended" })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: "Devices", includeHidden: true })).toBeVisible();
});

test("an operator chooses a utility, and can change it", async ({ page }) => {
  await signIn(page, "operator");
  await settled(page);
  const picker = page.getByLabel("Utility");
  await expect(picker).toBeVisible();
  const options = await picker.locator("option").count();
  if (options > 1) {
    await picker.selectOption({ index: 1 });
    await settled(page);
  }
  await page.goto("/devices");
  await settled(page);
});
