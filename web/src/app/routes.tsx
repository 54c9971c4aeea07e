import { createBrowserRouter, type RouteObject } from "react-router";
import { type PageId, pageInfo } from "../auth/permissions.ts";
import { Skeleton } from "../ui/states.tsx";
import { Guarded } from "./Guarded.tsx";
import { PageFailed } from "./PageFailed.tsx";
import { Shell } from "./Shell.tsx";

type Load = () => Promise<{ default: React.ComponentType }>;

function page(id: PageId, load: Load, path = pageInfo(id).path): RouteObject {
  return {
    path,
    lazy: async () => {
      const { default: Content } = await load();
      return {
        element: (
          <Guarded page={id}>
            <Content />
          </Guarded>
        ),
      };
    },
    errorElement: <PageFailed />,
  };
}

export function newRouter() {
  return createBrowserRouter([
    {
      element: <Shell />,
      errorElement: <PageFailed />,
      hydrateFallbackElement: <Skeleton lines={6} />,
      children: [
        page("overview", () => import("../pages/overview/OverviewPage.tsx")),
        page("live", () => import("../pages/live/LivePage.tsx")),
        page("devices", () => import("../pages/devices/DevicesPage.tsx")),
        page("devices", () => import("../pages/device/DevicePage.tsx"), "/devices/:id"),
        page("consumption", () => import("../pages/consumption/ConsumptionPage.tsx")),
        page("alerts", () => import("../pages/alerts/AlertsPage.tsx")),
        page("completeness", () => import("../pages/completeness/CompletenessPage.tsx")),
        page("pipeline", () => import("../pages/pipeline/PipelinePage.tsx")),
        page("onboarding", () => import("../pages/onboarding/OnboardingPage.tsx")),
        page("audit", () => import("../pages/audit/AuditPage.tsx")),
        page("settings", () => import("../pages/settings/SettingsPage.tsx")),
        { path: "*", lazy: async () => ({ Component: (await import("../pages/NotFoundPage.tsx")).default }) },
      ],
    },
  ]);
}
