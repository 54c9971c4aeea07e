{{ config(tags=['full_scan']) }}

-- Every natural key of the newest local days that was loaded up to the model's newest row is in it once, with its
-- highest version. Rows loaded since belong to the next run; older days were checked when they were new.
with modelled as (
    select
        count(*) as keys,
        sum(version) as versions
    from {{ ref('int_latest_version') }}
    where local_day >= (select max(local_day) - 2 from {{ ref('int_latest_version') }})
),

loaded as (
    select max(version) as version
    from {{ ref('stg_readings') }}
    where
        loaded_at <= (select max(loaded_at) from {{ ref('int_latest_version') }})
        and local_day >= (select max(local_day) - 2 from {{ ref('int_latest_version') }})
    group by tenant_id, device_id, channel, kind, start
),

expected as (
    select
        count(*) as keys,
        sum(version) as versions
    from loaded
)

select
    expected.keys as expected_keys,
    modelled.keys as modelled_keys,
    expected.versions as expected_versions,
    modelled.versions as modelled_versions
from expected
cross join modelled
where
    expected.keys <> modelled.keys
    or coalesce(expected.versions, 0) <> coalesce(modelled.versions, 0)
