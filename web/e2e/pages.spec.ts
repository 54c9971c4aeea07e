import { expect, test } from "@playwright/test";
import { PAGES } from "./pages.ts";
import { firstDevice, settled, signIn } from "./signin.ts";

test("every page shows data, without an error of a script", async ({ page }) => {
  test.setTimeout(180_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on(
    "console",
    (message) => message.text().includes("Content Security Policy") && errors.push(message.text()),
  );
  await signIn(page, "tenant_admin");
  for (const { name, path, shows } of PAGES) {
    await test.step(name, async () => {
      await page.goto(path);
      await settled(page);
      await expect(page.locator("main").locator(shows).first()).toBeVisible({ timeout: 30_000 });
      await expect(page.locator("main .state.bad")).toHaveCount(0);
    });
  }
  await page.goto(await firstDevice(page, "-e-"));
  await settled(page);
  await expect(page.locator(".plot canvas").first()).toBeVisible();
  expect(errors).toEqual([]);
});

test("a chart has its values as a table", async ({ page }) => {
  await signIn(page, "tenant_admin");
  await page.goto(await firstDevice(page, "-e-"));
  await settled(page);
  const table = page.locator("details.as-table", { hasText: "Show as a table" }).first();
  await table.locator("summary").click();
  await expect(table.locator("tbody tr").first()).toBeVisible();
});

test("a live reading is seen", async ({ page }) => {
  await signIn(page, "tenant_admin", "/live");
  const row = page.locator("[data-testid=feed] li[data-validated-at]").first();
  await expect(row).toBeVisible({ timeout: 60_000 });
  const ages = await page
    .locator("[data-testid=feed] li[data-validated-at]")
    .evaluateAll((rows) =>
      rows.map(
        (r) => Number(r.getAttribute("data-seen-at")) - Date.parse(r.getAttribute("data-validated-at") ?? ""),
      ),
    );
  console.log(
    `live: validated to seen in the browser ${Math.min(...ages)} to ${Math.max(...ages)} ms, ${ages.length} readings`,
  );
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("button", { name: /Go on/ })).toHaveAttribute("aria-pressed", "true");
});

test("an export is saved", async ({ page }) => {
  await signIn(page, "tenant_admin");
  await page.goto(await firstDevice(page, "-e-"));
  await settled(page);
  await page.getByRole("button", { name: "Export" }).click();
  const saved = page.waitForEvent("download", { timeout: 60_000 });
  await page.getByRole("button", { name: /Readings as CSV/ }).click();
  const file = await saved;
  expect(file.suggestedFilename()).toMatch(/\.csv$/);
  await expect(page.getByText("Saved to your downloads")).toBeVisible();
});

test("a day leads to its devices with holes, and to the missing intervals", async ({ page }) => {
  await signIn(page, "tenant_admin", "/completeness");
  await settled(page);
  const low = page.locator("button.day:not(.level-4)").first();
  test.skip((await low.count()) === 0, "nothing is missing in this installation");
  await low.click();
  const show = page.getByRole("button", { name: /missing intervals of/ }).first();
  await show.click();
  await expect(page.getByRole("heading", { name: /Missing intervals of/ })).toBeVisible();
});

test("settings are kept", async ({ page }) => {
  await signIn(page, "tenant_admin", "/settings");
  await settled(page);
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  await page.reload();
  await settled(page);
  await expect(page.getByRole("button", { name: "Dark" })).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("button", { name: "As the system" }).click();
  await expect(page.locator("html")).not.toHaveAttribute("data-theme");
});
