{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['tenant_id', 'device_id', 'channel', 'kind', 'start'],
        indexes=[
            {'columns': ['tenant_id', 'device_id', 'channel', 'kind', 'start'], 'unique': true},
            {'columns': ['loaded_at']},
        ],
        dist='device_id',
        sort=['device_id', 'start'],
        pre_hook='{{ room_to_sort() }}',
        post_hook='{{ refresh_statistics() }}',
    )
}}

{#- The order of versions is total, so that every run, whole or incremental, chooses the same row. -#}
{%- set rank -%}
    partition by tenant_id, device_id, channel, kind, start
    order by version desc, source_offset desc, source_partition desc, revision desc, reading_index desc, loaded_at desc
{%- endset %}

with fresh as (
    select
        tenant_id,
        device_id,
        channel,
        kind,
        start,
        duration_s,
        value,
        unit,
        verdict,
        version,
        local_day,
        commodity,
        customer_id,
        site_id,
        source_partition,
        source_offset,
        reading_index,
        revision,
        loaded_at
    from {{ ref('stg_readings') }}
    {% if adds_to_itself() -%}
    where loaded_at > {{ newest('loaded_at') }}
    {%- endif %}
),

ranked as (
    select
        fresh.*,
        row_number() over ({{ rank }}) as version_rank
    from fresh
),

newest as (
    select * from ranked where version_rank = 1
)

select
    newest.tenant_id,
    newest.device_id,
    newest.channel,
    newest.kind,
    newest.start,
    newest.duration_s,
    newest.value,
    newest.unit,
    newest.verdict,
    newest.version,
    newest.local_day,
    newest.commodity,
    newest.customer_id,
    newest.site_id,
    newest.source_partition,
    newest.source_offset,
    newest.reading_index,
    newest.revision,
    newest.loaded_at
from newest
{% if adds_to_itself() %}
{#- A correction may be loaded before the value it corrects when partitions move; the higher version stays. -#}
left join {{ this }} as held
    on newest.tenant_id = held.tenant_id
    and newest.device_id = held.device_id
    and newest.channel = held.channel
    and newest.kind = held.kind
    and newest.start = held.start
where
    held.tenant_id is null
    or newest.version > held.version
    or (newest.version = held.version and newest.source_offset > held.source_offset)
    or (
        newest.version = held.version
        and newest.source_offset = held.source_offset
        and newest.source_partition > held.source_partition
    )
    or (
        newest.version = held.version
        and newest.source_offset = held.source_offset
        and newest.source_partition = held.source_partition
        and newest.revision > held.revision
    )
    or (
        newest.version = held.version
        and newest.source_offset = held.source_offset
        and newest.source_partition = held.source_partition
        and newest.revision = held.revision
        and newest.reading_index >= held.reading_index
    )
{% endif %}
