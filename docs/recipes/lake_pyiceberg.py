"""Reads one tenant's readings of one day from the lake with pyiceberg, into Arrow. Only files of that day and bucket are opened."""

import datetime
import os
import sys

import pyarrow.compute as pc
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan

catalog = load_catalog(
    "meterway",
    **{
        "type": "sql",
        "uri": os.environ["ICEBERG_CATALOG_URL"].replace("postgresql://", "postgresql+psycopg2://"),
        "init_catalog_tables": "false",
        "s3.endpoint": os.environ["S3_ENDPOINT"],
        "s3.region": os.environ["S3_REGION"],
        "s3.access-key-id": os.environ["S3_READER_ACCESS_KEY"],
        "s3.secret-access-key": os.environ["S3_READER_SECRET_KEY"],
    },
)
table = catalog.load_table("meterway.readings")
newest = max(file.partition[0] for file in (task.file for task in table.scan().plan_files()))
day = datetime.date(1970, 1, 1) + datetime.timedelta(days=newest) if isinstance(newest, int) else newest
begin = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
# Somebody who has readings of that day: the other's may not be there yet.
of_day = table.scan(row_filter=GreaterThanOrEqual("start", begin.isoformat()), selected_fields=("tenant_id",), limit=1)
tenant = of_day.to_arrow()["tenant_id"][0].as_py()
where = And(
    EqualTo("tenant_id", tenant),
    GreaterThanOrEqual("start", begin.isoformat()),
    LessThan("start", (begin + datetime.timedelta(days=1)).isoformat()),
)
scan = table.scan(row_filter=where, selected_fields=("device_id", "start", "value", "unit", "verdict"))
rows = scan.to_arrow()
print(f"{tenant}, {day}: {rows.num_rows} readings of {pc.count_distinct(rows['device_id']).as_py()} devices in {len(list(scan.plan_files()))} files")
if rows.num_rows == 0:
    sys.exit("no readings: is the demo running?")
