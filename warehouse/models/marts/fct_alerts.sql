{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['tenant_id', 'alert_id'],
        indexes=[
            {'columns': ['tenant_id', 'alert_id'], 'unique': true},
            {'columns': ['tenant_id', 'opened_at']},
            {'columns': ['loaded_at']},
        ],
        dist='device_id',
        sort=['tenant_id', 'opened_at'],
        post_hook='{{ refresh_statistics() }}',
    )
}}

{#- Messages about an alert may repeat (the topic is at least once): equal revisions are the same message. -#}
with fresh as (
    select * from {{ ref('stg_alerts') }}
    {% if adds_to_itself() -%}
    where loaded_at > {{ newest('loaded_at') }}
    {%- endif %}
),

ranked as (
    select
        fresh.*,
        row_number() over (
            partition by tenant_id, alert_id
            order by revision desc, source_offset desc, source_partition desc
        ) as revision_rank
    from fresh
)

select
    ranked.tenant_id,
    ranked.alert_id,
    ranked.device_id,
    ranked.customer_id,
    ranked.site_id,
    ranked.kind,
    ranked.severity,
    ranked.state,
    ranked.revision,
    ranked.opened_at,
    ranked.updated_at,
    ranked.closed_at,
    ranked.closed_at is null as is_open,
    {{ seconds_between('ranked.opened_at', 'ranked.closed_at') }} as open_s,
    ranked.detail,
    ranked.source_partition,
    ranked.source_offset,
    ranked.loaded_at
from ranked
{% if adds_to_itself() -%}
left join {{ this }} as held
    on ranked.tenant_id = held.tenant_id
    and ranked.alert_id = held.alert_id
{% endif -%}
where
    ranked.revision_rank = 1
    {% if adds_to_itself() -%}
    and (
        held.alert_id is null
        or ranked.revision > held.revision
        or (ranked.revision = held.revision and ranked.source_offset > held.source_offset)
    )
    {%- endif %}
