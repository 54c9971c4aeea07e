{{ config(tags=['full_scan']) }}

-- Per device and channel, the days hold as many intervals and as much consumption as the hours.
with hourly as (
    select
        tenant_id,
        device_id,
        channel,
        sum(quantity) as quantity,
        sum(intervals) as intervals
    from {{ ref('fct_consumption_hourly') }}
    group by tenant_id, device_id, channel
),

daily as (
    select
        tenant_id,
        device_id,
        channel,
        sum(quantity) as quantity,
        sum(intervals) as intervals
    from {{ ref('fct_consumption_daily') }}
    group by tenant_id, device_id, channel
)

select
    coalesce(hourly.device_id, daily.device_id) as device_id,
    coalesce(hourly.channel, daily.channel) as channel,
    hourly.quantity as hourly_quantity,
    daily.quantity as daily_quantity
from hourly
full outer join daily
    on hourly.tenant_id = daily.tenant_id
    and hourly.device_id = daily.device_id
    and hourly.channel = daily.channel
where
    coalesce(hourly.intervals, 0) <> coalesce(daily.intervals, 0)
    -- A multiplier with decimals is rounded per row: half a millionth for each.
    or abs(coalesce(hourly.quantity, 0) - coalesce(daily.quantity, 0)) > 0.000001 * coalesce(hourly.intervals, 1)
