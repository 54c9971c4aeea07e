// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { afterEach, expect, it } from "vitest";
import { Api } from "../../api/client.ts";
import type { Alert, Permission } from "../../api/contract.ts";
import { SignedContext } from "../../app/context.tsx";
import { AlertItem } from "./AlertItem.tsx";

afterEach(cleanup);

const leak: Alert = {
  alert_id: "a",
  device_id: "w-1",
  site_id: "s-1",
  customer_id: null,
  kind: "CONTINUOUS_FLOW",
  severity: "WARNING",
  state: "OPENED",
  revision: 1,
  opened_at: "2026-07-01T10:00:00Z",
  updated_at: "2026-07-01T10:00:00Z",
  closed_at: null,
  detail: "Water flows.",
  zone: "Europe/Berlin",
  acknowledgement: null,
};

function show(alert: Alert, permissions: Permission[]) {
  const me = {
    subject: "s",
    name: "n",
    role: "analyst" as const,
    tenant_id: "t",
    customer_id: null,
    permissions,
  };
  const api = new Api({ token: async () => null, renewed: async () => null }, null);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <SignedContext.Provider value={{ me, api, chooseTenant: () => {} }}>
        <MemoryRouter>
          <AlertItem alert={alert} />
        </MemoryRouter>
      </SignedContext.Provider>
    </QueryClientProvider>,
  );
  return screen.queryAllByRole("button").map((button) => button.textContent);
}

it("offers to answer to those who may", () => {
  expect(show(leak, ["alerts.read", "alerts.write"])).toEqual(["Acknowledge", "This is normal"]);
});

it("offers nothing to those who may only read", () => {
  expect(show(leak, ["alerts.read"])).toEqual([]);
});

it("lets only flow and usage be normal, and only while open", () => {
  expect(show({ ...leak, kind: "OUTAGE" }, ["alerts.write"])).toEqual(["Acknowledge"]);
  cleanup();
  expect(show({ ...leak, state: "CLOSED" }, ["alerts.write"])).toEqual(["Acknowledge"]);
  cleanup();
  const acknowledgement = { by: "Ana", at: "2026-07-01T11:00:00Z", note: "", normal: true };
  expect(show({ ...leak, acknowledgement }, ["alerts.write"])).toEqual([]);
});

it("says the time in the site's zone, and which", () => {
  show(leak, []);
  expect(screen.getByText(/Since/).textContent).toMatch(/12:00 UTC\+02:00/);
});
