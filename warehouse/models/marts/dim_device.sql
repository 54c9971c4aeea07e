{{ config(indexes=[{'columns': ['device_id'], 'unique': true}], post_hook='{{ refresh_statistics() }}') }}

select
    device_id,
    tenant_id,
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
from {{ ref('stg_devices') }}
