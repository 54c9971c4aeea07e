"""Reads the lake by its Iceberg metadata and the warehouse by COPY, into Parquet files beside those of the topics."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import duckdb
import psycopg2
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

_READING = (
    "source_partition AS p, source_offset AS o, tenant_id AS tenant, device_id AS device, channel, kind, {start} AS start, "
    "{value} AS value, version, skipped_rules AS skipped"
)
_REJECTED = "source_partition AS p, source_offset AS o, reading_index AS i, code"
_ALERT = "source_partition AS p, source_offset AS o"

# By our name: table of the lake, columns.
LAKE = {
    "lake_reading": ("readings", _READING.format(start="epoch_us(start)", value="(value * 1000000)::BIGINT")),
    "lake_rejected": ("rejected", _REJECTED),
    "landing": ("landing", '"partition" AS p, "offset" AS o, md5(payload) AS md5'),
    "lake_alert": ("alerts", _ALERT),
}
WAREHOUSE = {
    "wh_reading": (
        "readings",
        _READING.format(start="(extract(epoch FROM start) * 1000000)::bigint", value="(value * 1000000)::bigint"),
    ),
    "wh_rejected": ("rejected", _REJECTED),
    "wh_alert": ("alerts", _ALERT),
}


def connect(settings: dict[str, str], work: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with a way to the bucket and little memory: what does not fit goes to the folder."""
    db = duckdb.connect(str(work / "verify.duckdb"))
    extensions = os.path.join(sysconfig.get_paths()["purelib"], "duckdb_ext", "extensions")
    db.execute("SET autoinstall_known_extensions=false")
    db.execute(f"SET extension_directory='{extensions}'")
    db.execute(f"SET temp_directory='{work / 'spill'}'")
    db.execute("SET memory_limit='1500MB'")
    db.execute("SET preserve_insertion_order=false")
    for extension in ("httpfs", "avro", "iceberg"):
        db.execute(f"LOAD {extension}")
    db.execute(
        f"""CREATE SECRET lake (TYPE s3, KEY_ID '{settings["S3_READER_ACCESS_KEY"]}',
        SECRET '{settings["S3_READER_SECRET_KEY"]}', REGION '{settings["S3_REGION"]}',
        ENDPOINT '{settings["S3_ENDPOINT"].removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)"""
    )
    return db


def read_lake(db: duckdb.DuckDBPyConnection, settings: dict[str, str], work: Path) -> dict[str, str]:
    """The lake's tables into Parquet files; returns the snapshot that each was read at."""
    catalog = load_catalog(
        "meterway",
        **{
            "type": "sql",
            "uri": settings["ICEBERG_CATALOG_URL"].replace("postgresql://", "postgresql+psycopg2://"),
            "init_catalog_tables": "false",
            "s3.endpoint": settings["S3_ENDPOINT"],
            "s3.region": settings["S3_REGION"],
            "s3.access-key-id": settings["S3_READER_ACCESS_KEY"],
            "s3.secret-access-key": settings["S3_READER_SECRET_KEY"],
        },
    )
    snapshots = {}
    for name, (table, columns) in LAKE.items():
        try:
            found = catalog.load_table(f"meterway.{table}")
        except NoSuchTableError:
            continue
        if found.current_snapshot() is None:
            continue
        snapshots[table] = str(found.current_snapshot().snapshot_id)
        source = f"SELECT {columns} FROM iceberg_scan('{found.metadata_location}')"
        db.execute(f"COPY ({source}) TO '{work / f'{name}-0.parquet'}' (FORMAT parquet)")
    return snapshots


def read_warehouse(db: duckdb.DuckDBPyConnection, settings: dict[str, str], work: Path) -> None:
    """The warehouse's tables into Parquet files, by way of CSV."""
    with psycopg2.connect(settings["WAREHOUSE_READER_URL"]) as connection, connection.cursor() as cursor:
        for name, (table, columns) in WAREHOUSE.items():
            path = work / f"{name}.csv"
            with path.open("wb") as file:
                cursor.copy_expert(f"COPY (SELECT {columns} FROM raw.{table}) TO STDOUT (FORMAT csv, HEADER)", file)
            source = f"SELECT * FROM read_csv('{path}', header = true, all_varchar = true)"
            db.execute(f"COPY ({source}) TO '{work / f'{name}-0.parquet'}' (FORMAT parquet)")
            path.unlink()
