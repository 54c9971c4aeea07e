import { useNavigate } from "react-router";
import { usePages } from "../api/queries.ts";
import type { Tenant } from "./ChooseTenant.tsx";
import { useSigned } from "./context.tsx";

export function TenantPicker() {
  const { api, chooseTenant } = useSigned();
  const navigate = useNavigate();
  const tenants = usePages<Tenant>("/v1/tenants", { limit: 500 });
  return (
    <label className="tenant">
      <span className="small muted">Utility</span>
      <select
        value={api.tenant ?? ""}
        onChange={(event) => {
          chooseTenant(event.target.value);
          void navigate("/");
        }}
      >
        {tenants.items.length === 0 && <option value={api.tenant ?? ""}>{api.tenant}</option>}
        {tenants.items.map((tenant) => (
          <option key={tenant.tenant_id} value={tenant.tenant_id}>
            {tenant.name}
          </option>
        ))}
      </select>
    </label>
  );
}
