{{ config(indexes=[{'columns': ['date_day'], 'unique': true}]) }}

with digits as (
    {% for digit in range(10) -%}
    select {{ digit }} as digit{% if not loop.last %} union all{% endif %}
    {% endfor %}
),

numbers as (
    select
        ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * ten_thousands.digit
            as day_number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join (select digit from digits where digit < 3) as ten_thousands
),

days as (
    select cast(cast('{{ var("dim_date_start") }}' as date) + day_number as date) as date_day
    from numbers
    where day_number < {{ var('dim_date_days') }}
)

select
    date_day,
    cast(extract(year from date_day) as integer) as year_number,
    cast(extract(quarter from date_day) as integer) as quarter_number,
    cast(extract(month from date_day) as integer) as month_number,
    cast(extract(day from date_day) as integer) as day_of_month,
    cast(extract(doy from date_day) as integer) as day_of_year,
    cast(extract(week from date_day) as integer) as iso_week,
    -- 0 is Sunday, on both warehouses.
    cast(extract(dow from date_day) as integer) as day_of_week,
    extract(dow from date_day) in (0, 6) as is_weekend,
    cast(date_trunc('month', date_day) as date) as month_start
from days
