import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { Api } from "../api/client.ts";
import type { Me } from "../api/contract.ts";
import { SessionExpired } from "../auth/SessionExpired.tsx";
import { ErrorState, Skeleton } from "../ui/states.tsx";
import { ChooseTenant } from "./ChooseTenant.tsx";
import { SignedContext, useBase, useSessionState } from "./context.tsx";
import { useUserSettings } from "./settings.ts";
import { applyTheme } from "./theme.ts";

const TENANT = "meterway.tenant";

/** Asks who the user is, and an operator for the tenant, before any page is shown. */
export function SignedIn({ children }: { children: ReactNode }) {
  const { session } = useBase();
  const expired = useSessionState().status === "expired";
  const [tenant, setTenant] = useState(() => sessionStorage.getItem(TENANT));
  const queries = useQueryClient();
  const plain = useMemo(() => new Api(session, null), [session]);
  const me = useQuery<Me, Error>({
    queryKey: ["/v1/me"],
    queryFn: () => plain.get<Me>("/v1/me"),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const chosen = me.data?.role === "operator" ? tenant : null;
  const api = useMemo(() => new Api(session, chosen), [session, chosen]);

  function chooseTenant(id: string | null) {
    if (id === null) sessionStorage.removeItem(TENANT);
    else sessionStorage.setItem(TENANT, id);
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "/v1/me" });
    setTenant(id);
  }

  if (!me.data) {
    return (
      <main className="alone">
        {me.isError && !expired ? (
          <ErrorState error={me.error} onRetry={me.refetch} />
        ) : (
          <Skeleton lines={4} />
        )}
        {expired && <SessionExpired />}
      </main>
    );
  }
  return (
    <SignedContext.Provider value={{ me: me.data, api, chooseTenant }}>
      <UserTheme />
      {me.data.role === "operator" && tenant === null ? <ChooseTenant /> : children}
      {expired && <SessionExpired />}
    </SignedContext.Provider>
  );
}

function UserTheme() {
  const theme = useUserSettings().data?.theme;
  useEffect(() => {
    if (theme) applyTheme(theme);
  }, [theme]);
  return null;
}
