select
    tenant_id,
    device_id,
    customer_id,
    site_id,
    alert_id,
    kind,
    severity,
    state,
    revision,
    opened_at,
    updated_at,
    closed_at,
    detail,
    source_partition,
    source_offset,
    loaded_at
from {{ source('raw', 'alerts') }}
