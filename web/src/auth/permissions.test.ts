import { expect, it } from "vitest";
import type { Me, Permission, Role } from "../api/contract.ts";
import { can, navigation } from "./permissions.ts";

function me(role: Role, permissions: Permission[]): Me {
  return { subject: "s", name: "n", role, tenant_id: "t", customer_id: null, permissions };
}

it("shows a customer only what is theirs, in their words", () => {
  const customer = me("customer", ["devices.read", "alerts.read", "alerts.write", "exports.create"]);
  expect(navigation(customer).map((page) => page.label)).toEqual([
    "Home",
    "Live",
    "My meters",
    "My usage",
    "Alerts",
    "Settings",
  ]);
});

it("goes by permissions, not by the name of the role", () => {
  const paths = (permissions: Permission[]) =>
    navigation(me("operator", permissions)).map((page) => page.path);
  expect(paths([])).toEqual(["/settings"]);
  expect(paths(["pipeline.read"])).toEqual(["/pipeline", "/settings"]);
});

it("grants what needs nothing", () => {
  expect(can(me("analyst", []), null)).toBe(true);
  expect(can(me("analyst", ["devices.read"]), "devices.write")).toBe(false);
});
