{{ config(indexes=[{'columns': ['device_id', 'channel', 'kind'], 'unique': true}], post_hook='{{ refresh_statistics() }}') }}

select
    channels.device_id,
    channels.channel,
    channels.kind,
    devices.tenant_id,
    channels.unit,
    channels.interval_s,
    channels.multiplier,
    channels.register_digits,
    channels.capacity_per_hour,
    channels.allow_negative
from {{ ref('stg_device_channels') }} as channels
inner join {{ ref('dim_device') }} as devices
    on channels.device_id = devices.device_id
