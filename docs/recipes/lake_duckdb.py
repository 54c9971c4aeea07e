"""Asks the lake with DuckDB: the five devices that used most. Needs nothing of Meterway but where the catalog and the bucket are."""

import os
import sysconfig

import duckdb
import psycopg2

# DuckDB reads a table from its metadata file; the catalog knows the newest.
with psycopg2.connect(os.environ["ICEBERG_CATALOG_URL"]) as catalog, catalog.cursor() as cursor:
    cursor.execute("SELECT metadata_location FROM iceberg_tables WHERE table_namespace = 'meterway' AND table_name = 'readings'")
    (metadata,) = cursor.fetchone()

db = duckdb.connect()
# Extensions from PyPI; where DuckDB's own site can be reached, INSTALL iceberg does.
db.execute(f"SET extension_directory='{os.path.join(sysconfig.get_paths()['purelib'], 'duckdb_ext', 'extensions')}'")
for extension in ("httpfs", "avro", "iceberg"):
    db.execute(f"LOAD {extension}")
db.execute(
    f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["S3_READER_ACCESS_KEY"]}', SECRET '{os.environ["S3_READER_SECRET_KEY"]}',
    REGION '{os.environ["S3_REGION"]}', ENDPOINT '{os.environ["S3_ENDPOINT"].removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)"""
)
# The newest row per natural key: a corrected value has a higher version.
rows = db.execute(
    f"""
    WITH newest AS (
        SELECT * FROM iceberg_scan('{metadata}') WHERE kind = 'INTERVAL' AND unit = 'kWh'
        QUALIFY row_number() OVER (
            PARTITION BY tenant_id, device_id, channel, kind, start ORDER BY version DESC, source_offset DESC, revision DESC NULLS LAST
        ) = 1
    )
    SELECT tenant_id, device_id, sum(value) AS kwh, count(*) AS intervals FROM newest GROUP BY ALL ORDER BY kwh DESC LIMIT 5
    """
).fetchall()
for tenant, device, kwh, intervals in rows:
    print(f"{tenant:12} {device:24} {kwh:>14} kWh in {intervals} intervals")
