select
    tenant_id,
    device_id,
    source_topic,
    source_partition,
    source_offset,
    reading_index,
    code,
    detail,
    validated_at,
    lake_snapshot_id,
    loaded_at
from {{ source('raw', 'rejected') }}
