{#- Customers are known to the warehouse by identifier and class only; names and addresses stay in the register. -#}
{#- A customer with devices of several classes or zones gets those of the device with the most recent change. -#}
with ranked as (
    select
        tenant_id,
        customer_id,
        customer_class,
        zone,
        row_number() over (
            partition by tenant_id, customer_id
            order by updated_at desc, device_id asc
        ) as recency
    from {{ ref('dim_device') }}
    where customer_id is not null
),

counted as (
    select
        tenant_id,
        customer_id,
        count(*) as devices,
        sum(case when status = 'ACTIVE' then 1 else 0 end) as active_devices,
        count(distinct site_id) as sites,
        max(updated_at) as updated_at
    from {{ ref('dim_device') }}
    where customer_id is not null
    group by tenant_id, customer_id
)

select
    counted.tenant_id,
    counted.customer_id,
    ranked.customer_class,
    ranked.zone,
    counted.devices,
    counted.active_devices,
    counted.sites,
    counted.updated_at
from counted
inner join ranked
    on counted.tenant_id = ranked.tenant_id
    and counted.customer_id = ranked.customer_id
    and ranked.recency = 1
