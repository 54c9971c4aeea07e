import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { fixtures } from "./dev/plugin.ts";

const port = Number(process.env.METERWAY_WEB_PORT ?? 14000);
/** A running service `dashboard` to work against; without one, the made-up world of dev/. */
const api = process.env.METERWAY_API_URL;
const forwarded = { target: api ?? "", changeOrigin: false };
const proxy = api ? { "/v1": forwarded, "/openapi.json": forwarded } : {};
const local = { host: "127.0.0.1", port, strictPort: true, proxy };

export default defineConfig({
  plugins: [react(), ...(api || process.env.VITEST ? [] : [fixtures(port + 1)])],
  build: {
    target: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    manifest: true,
  },
  server: local,
  preview: local,
  test: {
    include: ["src/**/*.test.{ts,tsx}", "dev/**/*.test.ts"],
    environment: "node",
  },
});
