import { useRouteError } from "react-router";
import { ErrorState } from "../ui/states.tsx";

/** A page that broke, or whose code could not be loaded (a new version was installed meanwhile, mostly). */
export function PageFailed() {
  return <ErrorState error={useRouteError()} onRetry={() => location.reload()} />;
}
