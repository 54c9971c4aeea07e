// Screenshots of every page, for people to look at: node e2e/look.mjs [folder] [page…]
import { mkdirSync } from "node:fs";
import { chromium } from "@playwright/test";

const [folder = "e2e/results/look", ...only] = process.argv.slice(2);
const base = process.env.METERWAY_E2E_URL ?? "http://127.0.0.1:14000";
const role = process.env.LOOK_ROLE ?? "tom";
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.METERWAY_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

const pages = {
  overview: "/",
  live: "/live",
  devices: "/devices",
  device: "/devices/northgrid-e-00001",
  water: "/devices/northgrid-w-00003",
  consumption: "/consumption",
  alerts: "/alerts",
  completeness: "/completeness",
  pipeline: "/pipeline",
  onboarding: "/onboarding",
  audit: "/audit",
  settings: "/settings",
  missing: "/devices/nothing",
};

for (const [size, viewport] of Object.entries({
  wide: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
})) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport, colorScheme, locale: "en-GB" });
    const page = await context.newPage();
    page.on("pageerror", (error) => console.log("pageerror", error.message));
    page.on("console", (message) => message.type() === "error" && console.log("console", message.text()));
    await page.goto(base);
    await page.locator(".demo-users").waitFor();
    if (only.length === 0 || only.includes("signin"))
      await page.screenshot({ path: `${folder}/signin-${size}-${colorScheme}.png` });
    await page.locator(".demo-users button", { hasText: `${role} /` }).click();
    await page.locator(".shell").waitFor();
    for (const [name, path] of Object.entries(pages)) {
      if (only.length > 0 && !only.includes(name)) continue;
      await page.goto(base + path);
      await page
        .locator(".skeleton, .moving")
        .first()
        .waitFor({ state: "detached", timeout: 30_000 })
        .catch(() => console.log(`${name}: still loading`));
      await page.waitForTimeout(name === "live" ? 4500 : 900);
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (wide > 0) console.log(`${name} ${size}: ${wide} px too wide`);
      await page.screenshot({ path: `${folder}/${name}-${size}-${colorScheme}.png`, fullPage: true });
    }
    await context.close();
  }
}
await browser.close();
