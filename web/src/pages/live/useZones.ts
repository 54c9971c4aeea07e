import { useMemo } from "react";
import type { Page, Site } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";

/** Zone of each site; UTC for a site that is not known (yet). */
export function useZones(): (siteId: string | null) => string {
  const sites = useGet<Page<Site>>("/v1/sites", { limit: 500 });
  return useMemo(() => {
    const zones = new Map(sites.data?.items.map((site) => [site.site_id, site.zone]));
    return (siteId) => zones.get(siteId ?? "") ?? "UTC";
  }, [sites.data]);
}
