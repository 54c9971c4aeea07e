import { mkdirSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { BASE_URL } from "./env.ts";
import { PAGES } from "./pages.ts";
import { firstDevice, settled, signIn } from "./signin.ts";

/** Pictures for people to look at: METERWAY_SCREENSHOTS names their folder; without it nothing is taken. */
const FOLDER = process.env.METERWAY_SCREENSHOTS ?? "";
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

test.skip(FOLDER === "", "METERWAY_SCREENSHOTS is not set");

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`pictures, ${size} and ${colorScheme}`, async ({ browser }) => {
      test.setTimeout(300_000);
      mkdirSync(FOLDER, { recursive: true });
      const context = await browser.newContext({ viewport, colorScheme, locale: "en-GB", baseURL: BASE_URL });
      const page = await context.newPage();
      const shot = (name: string) =>
        page.screenshot({ path: `${FOLDER}/${name}-${size}-${colorScheme}.png` });
      await page.goto("/");
      await expect(page.getByRole("button", { name: "Sign in", exact: true })).toBeVisible();
      await shot("sign-in");
      await signIn(page, "tenant_admin");
      const device = await firstDevice(page, "-e-");
      for (const { name, path } of [...PAGES, { name: "Device", path: device }]) {
        await page.goto(path);
        await settled(page);
        // What is drawn on a canvas and what arrives live has no state to wait for.
        await page.waitForTimeout(name === "Live" ? 6000 : 900);
        const over = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect(over, `${name} is ${over} px too wide`).toBeLessThanOrEqual(0);
        await shot(name.toLowerCase());
      }
      await context.close();
    });
  }
}
