import type { Me, Permission, Role } from "../api/contract.ts";

export type PageId =
  | "overview"
  | "live"
  | "devices"
  | "consumption"
  | "alerts"
  | "completeness"
  | "pipeline"
  | "onboarding"
  | "audit"
  | "settings";

export interface PageInfo {
  id: PageId;
  path: string;
  label: string;
  needs: Permission | null;
}

const PAGES: PageInfo[] = [
  { id: "overview", path: "/", label: "Overview", needs: "devices.read" },
  { id: "live", path: "/live", label: "Live", needs: "devices.read" },
  { id: "devices", path: "/devices", label: "Devices", needs: "devices.read" },
  { id: "consumption", path: "/consumption", label: "Consumption", needs: "devices.read" },
  { id: "alerts", path: "/alerts", label: "Alerts", needs: "alerts.read" },
  { id: "completeness", path: "/completeness", label: "Completeness", needs: "completeness.read" },
  { id: "pipeline", path: "/pipeline", label: "Pipeline", needs: "pipeline.read" },
  { id: "onboarding", path: "/onboarding", label: "Onboarding", needs: "devices.write" },
  { id: "audit", path: "/audit", label: "Audit", needs: "audit.read" },
  { id: "settings", path: "/settings", label: "Settings", needs: null },
];

const CUSTOMER_WORDS: Partial<Record<PageId, string>> = {
  overview: "Home",
  devices: "My meters",
  consumption: "My usage",
};

export function can(me: Me, permission: Permission | null): boolean {
  return permission === null || me.permissions.includes(permission);
}

export function pageInfo(id: PageId): PageInfo {
  const page = PAGES.find((p) => p.id === id);
  if (!page) throw new RangeError(`no page ${id}`);
  return page;
}

export function pageLabel(id: PageId, role: Role): string {
  return (role === "customer" ? CUSTOMER_WORDS[id] : undefined) ?? pageInfo(id).label;
}

/** The pages that the user may open, in the order of the navigation, with the words of the role. */
export function navigation(me: Me): PageInfo[] {
  return PAGES.filter((page) => can(me, page.needs)).map((page) => ({
    ...page,
    label: pageLabel(page.id, me.role),
  }));
}

export const ROLE_TEXT: Record<Role, string> = {
  operator: "Operator",
  tenant_admin: "Utility administrator",
  analyst: "Analyst",
  customer: "Customer",
};
