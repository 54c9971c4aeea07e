import { lazy, Suspense } from "react";
import { Skeleton } from "../ui/states.tsx";

const Chart = lazy(() => import("./TimeChart.tsx"));

/** The chart library is fetched with the first chart, not with the app. */
export function TimeChart(props: React.ComponentProps<typeof Chart>) {
  return (
    <Suspense fallback={<Skeleton height={props.height ?? 300} />}>
      <Chart {...props} />
    </Suspense>
  );
}
