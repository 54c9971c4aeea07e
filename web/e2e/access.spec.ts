import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { PAGES } from "./pages.ts";
import { firstDevice, settled, signIn } from "./signin.ts";

async function violations(page: Page): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found
    .filter((violation) => violation.impact === "serious" || violation.impact === "critical")
    .flatMap((violation) =>
      violation.nodes.map((node) => `${violation.id}: ${node.target.join(" ")} ${node.failureSummary}`),
    );
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`no serious or critical violation in ${colorScheme}`, async ({ page }) => {
    test.setTimeout(300_000);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.goto("/");
    await expect(page.getByRole("button", { name: "Sign in", exact: true })).toBeVisible();
    expect.soft(await violations(page), "sign-in").toEqual([]);
    await signIn(page, "tenant_admin");
    const device = await firstDevice(page, "-e-");
    for (const { name, path, shows } of [...PAGES, { name: "Device", path: device, shows: ".plot canvas" }]) {
      await page.goto(path);
      await settled(page);
      await expect(page.locator("main").locator(shows).first()).toBeVisible({ timeout: 30_000 });
      expect.soft(await violations(page), name).toEqual([]);
    }
  });
}

test("a phone needs no sideways scrolling", async ({ page }) => {
  test.setTimeout(180_000);
  await page.setViewportSize({ width: 375, height: 812 });
  await signIn(page, "tenant_admin");
  const device = await firstDevice(page, "-e-");
  for (const { name, path, shows } of [...PAGES, { name: "Device", path: device, shows: ".plot canvas" }]) {
    await page.goto(path);
    await settled(page);
    await expect(page.locator("main").locator(shows).first()).toBeVisible({ timeout: 30_000 });
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect.soft(over, name).toBeLessThanOrEqual(0);
  }
});

test("the keyboard alone gets to the content and through the menu", async ({ page }) => {
  await signIn(page, "tenant_admin");
  await settled(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("#main")).toBeFocused();
  await page.getByRole("link", { name: "Alerts", exact: true }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Alerts" })).toBeVisible();
  await expect(page.locator("#main")).toBeFocused();
});
