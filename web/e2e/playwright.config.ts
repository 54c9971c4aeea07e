import { defineConfig } from "@playwright/test";
import { BASE_URL, CHROMIUM } from "./env.ts";

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.ts",
  outputDir: "results",
  timeout: 60_000,
  expect: { timeout: 15_000 },
  workers: 1,
  retries: 0,
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    baseURL: BASE_URL,
    locale: "en-GB",
    timezoneId: "Europe/London",
    viewport: { width: 1440, height: 900 },
    launchOptions: { executablePath: CHROMIUM, args: ["--no-sandbox"] },
    screenshot: "only-on-failure",
  },
  ...(process.env.METERWAY_E2E_URL
    ? {}
    : {
        webServer: {
          command: "npx vite preview",
          cwd: "..",
          env: { METERWAY_WEB_PORT: "14010" },
          url: BASE_URL,
          reuseExistingServer: false,
        },
      }),
});
