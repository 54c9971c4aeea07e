"""Counts the lake's tables with a reader that knows nothing of Meterway.

usage: read_lake.py pyiceberg|duckdb SETTINGS   prints one JSON object
"""

import json
import os
import sys
import sysconfig

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import load_catalog

reader, settings_file = sys.argv[1:3]
settings = dict(line.strip().split("=", 1) for line in open(settings_file) if "=" in line and line[0] != "#")

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
tables = {name: catalog.load_table(f"meterway.{name}") for name in ("readings", "rejected", "landing", "dead_letters")}


def by_pyiceberg() -> dict:
    counts = {name: table.scan(selected_fields=table.schema().column_names[:1]).to_arrow().num_rows for name, table in tables.items()}
    values = tables["readings"].scan(selected_fields=("value",)).to_arrow()["value"]
    return counts | {"value_sum": f"{pc.sum(values.cast(pa.decimal128(38, 6))).as_py():f}"}


def by_duckdb() -> dict:
    import duckdb

    extensions = os.path.join(sysconfig.get_paths()["purelib"], "duckdb_ext", "extensions")
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions=false")
    connection.execute(f"SET extension_directory='{extensions}'")
    for extension in ("httpfs", "avro", "iceberg"):
        connection.execute(f"LOAD {extension}")
    connection.execute(
        f"""CREATE SECRET lake (TYPE s3, KEY_ID '{settings["S3_READER_ACCESS_KEY"]}',
        SECRET '{settings["S3_READER_SECRET_KEY"]}', REGION '{settings["S3_REGION"]}',
        ENDPOINT '{settings["S3_ENDPOINT"].removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)"""
    )

    def one(what: str, name: str):
        source = tables[name].metadata_location
        return connection.execute(f"SELECT {what} FROM iceberg_scan('{source}')").fetchone()[0]

    counts = {name: one("count(*)", name) for name in tables}
    return counts | {"value_sum": f"{one('sum(value)::decimal(38, 6)', 'readings'):f}"}


print(json.dumps(by_pyiceberg() if reader == "pyiceberg" else by_duckdb()))
