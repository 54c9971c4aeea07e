import { useEffect } from "react";
import { usePages } from "../api/queries.ts";
import { Brand } from "../ui/Brand.tsx";
import { Button } from "../ui/Button.tsx";
import { Empty, ErrorState, Skeleton } from "../ui/states.tsx";
import { useBase, useSigned } from "./context.tsx";
import { useTitle } from "./title.ts";

export interface Tenant {
  tenant_id: string;
  name: string;
  status: string;
}

/** An operator looks at one utility at a time, and says which. */
export function ChooseTenant() {
  const { chooseTenant } = useSigned();
  const { session } = useBase();
  const tenants = usePages<Tenant>("/v1/tenants", { limit: 500 });
  useTitle("Choose a utility");
  const only = tenants.items.length === 1 && !tenants.hasNextPage ? tenants.items[0] : undefined;
  useEffect(() => {
    if (only) chooseTenant(only.tenant_id);
  }, [only, chooseTenant]);

  return (
    <main className="alone">
      <Brand />
      <div>
        <h1>Choose a utility</h1>
        <p className="muted">Everything you then see and do is of this one. You can change it at any time.</p>
      </div>
      {tenants.isPending && <Skeleton lines={3} />}
      {tenants.isError && <ErrorState error={tenants.error} onRetry={tenants.refetch} />}
      {tenants.isSuccess && tenants.items.length === 0 && (
        <Empty title="No utilities yet">Register the first one with the command “meterway onboard”.</Empty>
      )}
      <ul className="choices">
        {tenants.items.map((tenant) => (
          <li key={tenant.tenant_id}>
            <button type="button" className="choice" onClick={() => chooseTenant(tenant.tenant_id)}>
              <strong>{tenant.name}</strong>
              <span className="muted small mono">{tenant.tenant_id}</span>
            </button>
          </li>
        ))}
      </ul>
      <Button onClick={() => void session.signOut()}>Sign out</Button>
    </main>
  );
}
