{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['tenant_id', 'device_id', 'channel', 'local_day'],
        indexes=[
            {'columns': ['tenant_id', 'device_id', 'channel', 'local_day'], 'unique': true},
            {'columns': ['tenant_id', 'local_day']},
            {'columns': ['loaded_at']},
        ],
        dist='device_id',
        sort=['tenant_id', 'local_day'],
        pre_hook='{{ room_to_sort() }}',
        post_hook='{{ refresh_statistics() }}',
    )
}}

with intervals as (
    select * from {{ ref('int_latest_version') }} where kind = 'INTERVAL'
),

{% if adds_to_itself() -%}
{{ touched_periods('local_day', 'fresh.local_day') }},

{% endif -%}
days as (
    select
        intervals.tenant_id,
        intervals.device_id,
        intervals.channel,
        intervals.local_day,
        max(intervals.value) as highest,
        max(intervals.duration_s) as longest_s,
        {{ sums_of_intervals() }}
    from intervals
    {% if adds_to_itself() -%}
    {#- The bounds on start are implied by the day (no zone is 15 hours from UTC) and let the index be used. #}
    inner join touched
        on intervals.tenant_id = touched.tenant_id
        and intervals.device_id = touched.device_id
        and intervals.channel = touched.channel
        and intervals.local_day = touched.local_day
        and intervals.start >= {{ plus_hours(local_midnight('touched.local_day', "'UTC'"), -15) }}
        and intervals.start < {{ plus_hours(local_midnight('touched.local_day', "'UTC'"), 39) }}
    {% endif -%}
    group by intervals.tenant_id, intervals.device_id, intervals.channel, intervals.local_day
),

described as (
    select
        days.*,
        devices.zone,
        coalesce(channels.multiplier, 1) as multiplier,
        -- A channel without a fixed interval is measured by the longest one it delivered that day.
        coalesce(channels.interval_s, nullif(days.longest_s, 0)) as interval_s,
        {{ local_day_seconds('days.local_day', 'devices.zone') }} as day_s,
        devices.loaded_at as device_loaded_at
    from days
    left join {{ ref('dim_device') }} as devices
        on days.device_id = devices.device_id
    left join {{ ref('dim_device_channel') }} as channels
        on days.device_id = channels.device_id
        and days.channel = channels.channel
        and channels.kind = 'INTERVAL'
)

select
    tenant_id,
    device_id,
    channel,
    local_day,
    zone,
    cast(day_s / 3600.0 as numeric(4, 2)) as local_day_hours,
    commodity,
    unit,
    customer_id,
    site_id,
    cast(delivered * multiplier as numeric(24, 6)) as quantity,
    cast(highest * multiplier as numeric(24, 6)) as highest_interval,
    interval_s,
    intervals,
    cast(day_s / interval_s as integer) as expected_intervals,
    covered_s,
    cast(least(1.0, 1.0 * intervals / nullif(day_s / interval_s, 0)) as numeric(7, 6)) as completeness,
    estimated_intervals,
    cast(1.0 * estimated_intervals / intervals as numeric(7, 6)) as estimated_share,
    suspect_intervals,
    cast(1.0 * suspect_intervals / intervals as numeric(7, 6)) as suspect_share,
    loaded_at,
    device_loaded_at
from described
