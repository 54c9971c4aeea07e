{# What differs between PostgreSQL and Redshift about time. Instants are timestamptz; local times are timestamp. #}

{# The local time of an instant in a zone, as timestamp. #}
{% macro local_time(instant, zone) %}{{ return(adapter.dispatch('local_time')(instant, zone)) }}{% endmacro %}

{% macro default__local_time(instant, zone) %}({{ instant }} at time zone {{ zone }}){% endmacro %}

{% macro redshift__local_time(instant, zone) -%}
    convert_timezone({{ zone }}, {{ instant }} at time zone 'UTC')
{%- endmacro %}

{# The instant of a local midnight in a zone. #}
{% macro local_midnight(day, zone) %}{{ return(adapter.dispatch('local_midnight')(day, zone)) }}{% endmacro %}

{% macro default__local_midnight(day, zone) %}(cast({{ day }} as timestamp) at time zone {{ zone }}){% endmacro %}

{% macro redshift__local_midnight(day, zone) -%}
    (convert_timezone({{ zone }}, 'UTC', cast({{ day }} as timestamp)) at time zone 'UTC')
{%- endmacro %}

{# Whole seconds from one instant to another. #}
{% macro seconds_between(earlier, later) %}{{ return(adapter.dispatch('seconds_between')(earlier, later)) }}{% endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    cast(extract(epoch from ({{ later }} - {{ earlier }})) as integer)
{%- endmacro %}

{% macro redshift__seconds_between(earlier, later) %}datediff(second, {{ earlier }}, {{ later }}){% endmacro %}

{# Start of the UTC hour of an instant, whatever the session's zone. #}
{% macro utc_hour(instant) %}{{ return(adapter.dispatch('utc_hour')(instant)) }}{% endmacro %}

{% macro default__utc_hour(instant) %}date_trunc('hour', {{ instant }}, 'UTC'){% endmacro %}

{% macro redshift__utc_hour(instant) -%}
    (date_trunc('hour', {{ instant }} at time zone 'UTC') at time zone 'UTC')
{%- endmacro %}

{# An instant some hours later. #}
{% macro plus_hours(instant, hours) %}{{ return(adapter.dispatch('plus_hours')(instant, hours)) }}{% endmacro %}

{% macro default__plus_hours(instant, hours) %}({{ instant }} + interval '{{ hours }} hours'){% endmacro %}

{% macro redshift__plus_hours(instant, hours) %}dateadd(hour, {{ hours }}, {{ instant }}){% endmacro %}

{# Length in seconds of a local day: 82800, 86400 or 90000. #}
{% macro local_day_seconds(day, zone) -%}
    {{ seconds_between(local_midnight(day, zone), local_midnight('(' ~ day ~ ' + 1)', zone)) }}
{%- endmacro %}
