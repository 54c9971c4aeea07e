{#- Rows by tenant for the dashboard, as the loader's migration V3 has them for the raw tables: the role meterway_dashboard sees
    the tenant (and customer) that its transaction names, every other role what its grants let it. Run after each model that is a
    table; does nothing when the policy is there. Redshift has row-level security of another form: see the README. -#}
{% macro row_access() -%}
    {%- if execute and target.type == 'postgres' and config.get('materialized') in ('table', 'incremental') -%}
        {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
        {%- set there -%}
            select 1 from pg_policies
            where schemaname = '{{ this.schema }}' and tablename = '{{ this.identifier }}' and policyname = 'row_access'
        {%- endset -%}
        {%- if 'tenant_id' in columns and run_query(there) | length == 0 -%}
            alter table {{ this }} enable row level security;
            create policy row_access on {{ this }} for select using (
                (select current_user) <> 'meterway_dashboard'
                or (
                    tenant_id = (select nullif(current_setting('meterway.tenant_id', true), ''))
                    and (
                        {% if 'customer_id' in columns -%}
                        customer_id = (select current_setting('meterway.customer_id', true))
                        or {% endif -%}
                        coalesce((select current_setting('meterway.customer_id', true)), '') = ''
                    )
                )
            );
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
