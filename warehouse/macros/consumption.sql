{# What the hourly and the daily fact have in common: the same intervals, summed over another period. #}

{#
  The common table expression of the periods to compute again: those with fresh readings, and those of devices that changed or
  became known late, since zone and multiplier are the device's. `period` is the fact's column, `of_start` the period of a
  reading that is called `fresh`.
#}
{% macro touched_periods(period, of_start) -%}
touched as (
    select distinct
        fresh.tenant_id,
        fresh.device_id,
        fresh.channel,
        {{ of_start }} as {{ period }}
    from {{ ref('int_latest_version') }} as fresh
    where
        fresh.kind = 'INTERVAL'
        and fresh.loaded_at > {{ newest('loaded_at') }}
    union
    select
        held.tenant_id,
        held.device_id,
        held.channel,
        held.{{ period }}
    from {{ this }} as held
    inner join {{ ref('dim_device') }} as changed
        on held.device_id = changed.device_id
    where changed.loaded_at > {{ newest('device_loaded_at') }}
)
{%- endmacro %}

{# Sums and attributes of the rows of `intervals` in a period. #}
{% macro sums_of_intervals() -%}
max(intervals.commodity) as commodity,
        max(intervals.unit) as unit,
        max(intervals.customer_id) as customer_id,
        max(intervals.site_id) as site_id,
        sum(intervals.value) as delivered,
        count(*) as intervals,
        sum(intervals.duration_s) as covered_s,
        sum(case when intervals.verdict = 'ESTIMATED' then 1 else 0 end) as estimated_intervals,
        sum(case when intervals.verdict = 'SUSPECT' then 1 else 0 end) as suspect_intervals,
        max(intervals.loaded_at) as loaded_at
{%- endmacro %}
