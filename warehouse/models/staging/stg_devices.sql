select
    tenant_id,
    device_id,
    customer_id,
    site_id,
    gateway_id,
    status,
    commodity,
    customer_class,
    zone,
    version,
    updated_at,
    loaded_at
from {{ source('raw', 'devices') }}
