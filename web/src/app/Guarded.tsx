import type { ReactNode } from "react";
import { can, type PageId, pageInfo, pageLabel } from "../auth/permissions.ts";
import { NoPermission } from "../ui/states.tsx";
import { useMe } from "./context.tsx";
import { useTitle } from "./title.ts";

/** A page with its title, or the kind word that the user may not see it. */
export function Guarded({ page, children }: { page: PageId; children: ReactNode }) {
  const me = useMe();
  useTitle(pageLabel(page, me.role));
  return can(me, pageInfo(page).needs) ? children : <NoPermission what={pageLabel(page, me.role)} />;
}
