import {
  Activity,
  BellRing,
  CalendarCheck,
  ChartColumn,
  Gauge,
  LayoutDashboard,
  type LucideIcon,
  PlusCircle,
  ScrollText,
  Settings2,
  Workflow,
} from "lucide-react";
import { NavLink } from "react-router";
import type { Me } from "../api/contract.ts";
import { navigation, type PageId } from "../auth/permissions.ts";

const ICONS: Record<PageId, LucideIcon> = {
  overview: LayoutDashboard,
  live: Activity,
  devices: Gauge,
  consumption: ChartColumn,
  alerts: BellRing,
  completeness: CalendarCheck,
  pipeline: Workflow,
  onboarding: PlusCircle,
  audit: ScrollText,
  settings: Settings2,
};

export function Navigation({ me }: { me: Me }) {
  return (
    <nav aria-label="Main">
      <ul className="nav">
        {navigation(me).map(({ id, path, label }) => {
          const Icon = ICONS[id];
          return (
            <li key={id}>
              <NavLink to={path} end={path === "/"}>
                <Icon size={17} aria-hidden="true" />
                {label}
              </NavLink>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
