select
    device_id,
    channel,
    kind,
    unit,
    interval_s,
    multiplier,
    register_digits,
    capacity_per_hour,
    allow_negative
from {{ source('raw', 'device_channels') }}
