#!/bin/sh
# First start of the PostgreSQL container: the stack's databases and roles, all with the container's password.
set -eu

for role in metadata_owner metadata_app iceberg loader dbt reader meterway_dashboard; do
  set -- "$@" --set "$role=$POSTGRES_PASSWORD"
done
exec psql --no-psqlrc --username postgres "$@" --file /config/postgres.sql
