{#
  Incremental models read what was loaded after the newest row they hold. raw.*.loaded_at rises strictly per table in the
  order of commits (the loader assigns it under a lock), so no row can appear behind the mark.

  The mark is asked for first and written into the statement as a constant: with a subquery the planner would guess that
  a third of the table is new.
#}
{% macro newest(column) -%}
    {%- set beginning = '1970-01-01 00:00:00+00' -%}
    {%- if execute and flags.INTROSPECT and is_incremental() -%}
        {%- set found = run_query('select cast(max(' ~ column ~ ') as varchar(64)) from ' ~ this).columns[0].values()[0] -%}
        {{ return("cast('" ~ (found or beginning) ~ "' as timestamptz)") }}
    {%- endif -%}
    {{ return("cast('" ~ beginning ~ "' as timestamptz)") }}
{%- endmacro %}

{#
  Whether the model adds to what it holds. `dbt compile --no-introspect` has no connection to find out: it compiles the whole
  build, or the increment with `--vars '{compile_increment: true}'`.
#}
{% macro adds_to_itself() -%}
    {%- if not flags.INTROSPECT -%}
        {{ return(var('compile_increment', false)) }}
    {%- endif -%}
    {{ return(is_incremental()) }}
{%- endmacro %}

{# Fresh statistics: the next model is planned within the second, long before the warehouse would look by itself. #}
{% macro refresh_statistics() %}analyze {{ this }}{% endmacro %}

{# PostgreSQL's default of 4 MB per sort would send a million rows to disk; for the statement's transaction only. #}
{% macro room_to_sort() %}{{ return(adapter.dispatch('room_to_sort')()) }}{% endmacro %}

{% macro default__room_to_sort() %}set local work_mem = '128MB'; set local maintenance_work_mem = '256MB'{% endmacro %}

{% macro redshift__room_to_sort() %}select 1{% endmacro %}
