-- Databases and roles of the local cluster. Runs through psql as the superuser, as often as one likes.
-- Passwords come as psql variables named after the roles.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

-- Roles. None is a superuser, owns another's tables or bypasses row-level security.
SELECT format('CREATE ROLE %I LOGIN', wanted)
FROM unnest(ARRAY['metadata_owner', 'metadata_app', 'iceberg', 'loader', 'dbt', 'reader', 'meterway_dashboard']) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
\gexec
ALTER ROLE metadata_owner PASSWORD :'metadata_owner';
ALTER ROLE metadata_app PASSWORD :'metadata_app';
ALTER ROLE iceberg PASSWORD :'iceberg';
ALTER ROLE loader PASSWORD :'loader';
ALTER ROLE dbt PASSWORD :'dbt';
ALTER ROLE reader PASSWORD :'reader';
-- The dashboard's role is known by its name: the policies of the warehouse are about it.
ALTER ROLE meterway_dashboard PASSWORD :'meterway_dashboard';

-- Databases, each closed to everybody who is not named below.
SELECT format('CREATE DATABASE %I OWNER %I', database, owner)
FROM (VALUES ('metadata', 'metadata_owner'), ('iceberg', 'iceberg'), ('warehouse', 'postgres'),
    ('dashboard', 'meterway_dashboard')) AS wanted (database, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = database)
\gexec
REVOKE CONNECT, TEMPORARY ON DATABASE metadata, iceberg, warehouse, dashboard FROM PUBLIC;
GRANT CONNECT ON DATABASE metadata TO metadata_app;
GRANT CONNECT, TEMPORARY ON DATABASE warehouse TO loader, dbt, reader;
GRANT CONNECT ON DATABASE warehouse TO meterway_dashboard;
GRANT CREATE ON DATABASE warehouse TO loader, dbt;

-- Metadata: the migrations, run by the owner, grant the service what it needs table by table.
\connect metadata
GRANT USAGE ON SCHEMA public TO metadata_app;

-- Warehouse: what the loader makes dbt can read, and the reader sees what either makes.
\connect warehouse
ALTER DEFAULT PRIVILEGES FOR ROLE loader GRANT USAGE ON SCHEMAS TO dbt, reader, meterway_dashboard;
ALTER DEFAULT PRIVILEGES FOR ROLE loader GRANT SELECT ON TABLES TO dbt, reader, meterway_dashboard;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt GRANT USAGE ON SCHEMAS TO reader, meterway_dashboard;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt GRANT SELECT ON TABLES TO reader, meterway_dashboard;
