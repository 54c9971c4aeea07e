{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['tenant_id', 'device_id', 'channel', 'hour_start'],
        indexes=[
            {'columns': ['tenant_id', 'device_id', 'channel', 'hour_start'], 'unique': true},
            {'columns': ['tenant_id', 'local_day']},
            {'columns': ['loaded_at']},
        ],
        dist='device_id',
        sort=['tenant_id', 'hour_start'],
        pre_hook='{{ room_to_sort() }}',
        post_hook='{{ refresh_statistics() }}',
    )
}}

{#- A longer interval than an hour counts in the hour it begins in: spreading it would invent a profile. -#}
with intervals as (
    select
        readings.*,
        {{ utc_hour('readings.start') }} as hour_start
    from {{ ref('int_latest_version') }} as readings
    where readings.kind = 'INTERVAL'
),

{% if adds_to_itself() -%}
{{ touched_periods('hour_start', utc_hour('fresh.start')) }},

{% endif -%}
hours as (
    select
        intervals.tenant_id,
        intervals.device_id,
        intervals.channel,
        intervals.hour_start,
        min(intervals.local_day) as local_day,
        {{ sums_of_intervals() }}
    from intervals
    {% if adds_to_itself() -%}
    {#- The equality serves a hash join over much, the bounds an index scan for little; the planner chooses. #}
    inner join touched
        on intervals.tenant_id = touched.tenant_id
        and intervals.device_id = touched.device_id
        and intervals.channel = touched.channel
        and intervals.hour_start = touched.hour_start
        and intervals.start >= touched.hour_start
        and intervals.start < {{ plus_hours('touched.hour_start', 1) }}
    {% endif -%}
    group by intervals.tenant_id, intervals.device_id, intervals.channel, intervals.hour_start
)

select
    hours.tenant_id,
    hours.device_id,
    hours.channel,
    hours.hour_start,
    {{ local_time('hours.hour_start', 'devices.zone') }} as local_hour,
    hours.local_day,
    devices.zone,
    hours.commodity,
    hours.unit,
    hours.customer_id,
    hours.site_id,
    cast(hours.delivered * coalesce(channels.multiplier, 1) as numeric(24, 6)) as quantity,
    hours.intervals,
    hours.covered_s,
    hours.estimated_intervals,
    hours.suspect_intervals,
    hours.loaded_at,
    devices.loaded_at as device_loaded_at
from hours
left join {{ ref('dim_device') }} as devices
    on hours.device_id = devices.device_id
left join {{ ref('dim_device_channel') }} as channels
    on hours.device_id = channels.device_id
    and hours.channel = channels.channel
    and channels.kind = 'INTERVAL'
