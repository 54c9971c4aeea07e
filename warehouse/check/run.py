#!/usr/bin/env python3
"""Builds the dbt project on a scratch database and checks what its tests alone can't.

1. Seeds raw rows over both clock changes, builds everything, tests included.
2. Adds a second load: later readings, corrections of old ones, late devices, closed alerts. Refreshes incrementally.
3. Refreshes a third time with nothing new: nothing may change.
4. Rebuilds from scratch: every model must hold exactly the rows the incremental runs left behind.

Reads POSTGRES_ADMIN_URL, WAREHOUSE_LOADER_URL and WAREHOUSE_DBT_URL of the local stack (deploy/local/stack.sh).
The time of each run is printed; --budget-seconds turns the first, full build into a check.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

PROJECT = Path(__file__).resolve().parent.parent
MIGRATIONS = PROJECT.parent / "services" / "redshift-loader" / "migrations"
MODELS = {
    "staging.int_latest_version": "*",
    "marts.fct_consumption_hourly": "*",
    "marts.fct_consumption_daily": "*",
    "marts.fct_alerts": "*",
    "marts.dim_device": "*",
    "marts.dim_customer": "*",
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--devices", type=int, default=20, help="devices; each has about 14,000 half-hours")
    arguments.add_argument("--budget-seconds", type=float, default=None, help="longest time the full build may take")
    options = arguments.parse_args()

    database = f"warehouse_check_{uuid.uuid4().hex[:8]}"
    admin = connect(os.environ["POSTGRES_ADMIN_URL"])
    run(admin, f'CREATE DATABASE "{database}"')
    try:
        run(admin, f'GRANT ALL ON DATABASE "{database}" TO loader, dbt')
        return check(database, options)
    finally:
        run(admin, f'DROP DATABASE "{database}" WITH (FORCE)')


def check(database: str, options: argparse.Namespace) -> int:
    loader = connect(at(os.environ["WAREHOUSE_LOADER_URL"], database))
    run(loader, "CREATE SCHEMA raw")
    for migration in sorted(MIGRATIONS.glob("V*.sql"), key=lambda path: int(path.name[1:].split("__")[0])):
        run(loader, migration.read_text())
    run(loader, "GRANT USAGE ON SCHEMA raw TO dbt; GRANT SELECT ON ALL TABLES IN SCHEMA raw TO dbt")

    first = {"from": "2026-02-01 00:00Z", "to": "2026-11-10 00:00Z", "version": 1, "every": 1}
    seed(loader, options, first, snapshot=1, known_devices=options.devices // 2)
    rows = fetch(loader, "SELECT count(*) FROM raw.readings")[0][0]
    full = dbt(database, "build")
    print(f"full build of {rows} readings, tests and unit tests included: {full:.1f} s")

    later = {"from": "2026-11-10 00:00Z", "to": "2026-11-12 00:00Z", "version": 1, "every": 1}
    seed(loader, options, later, snapshot=2, known_devices=options.devices)
    corrections = {"from": "2026-10-20 00:00Z", "to": "2026-11-01 12:00Z", "version": 2, "every": 7}
    seed(loader, options, corrections, snapshot=3, known_devices=options.devices)
    print(f"incremental refresh: {dbt(database, 'refresh'):.1f} s")
    incremental = contents(database)
    print(f"refresh with nothing new: {dbt(database, 'refresh'):.1f} s")
    problems = differences("a refresh without news", incremental, contents(database))
    print(f"rebuild of everything: {dbt(database, 'run', '--full-refresh'):.1f} s")
    problems += differences("a rebuild from scratch", incremental, contents(database))

    if options.budget_seconds and full > options.budget_seconds:
        problems.append(f"the full build took {full:.1f} s, allowed are {options.budget_seconds:.1f} s")
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    if not problems:
        print(f"ok: {', '.join(f'{model} {found[0]}' for model, found in incremental.items())}")
    return 1 if problems else 0


def seed(connection, options: argparse.Namespace, load: dict, snapshot: int, known_devices: int) -> None:
    parameters = load | {
        "snapshot": snapshot,
        "devices": options.devices,
        "known_devices": known_devices,
        "base_offset": snapshot * 1_000_000_000,
        "loaded_at": f"2026-11-12 12:00:0{snapshot}+00",
    }
    run(connection, (PROJECT / "check" / "seed.sql").read_text(), parameters)


def dbt(database: str, *command: str) -> float:
    environment = os.environ | {"WAREHOUSE_DBT_URL": at(os.environ["WAREHOUSE_DBT_URL"], database)}
    began = time.monotonic()
    done = subprocess.run([PROJECT / "dbt.sh", *command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"dbt {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def contents(database: str) -> dict[str, tuple]:
    """Per model its rows and an order-independent digest of them."""
    reader = connect(at(os.environ["WAREHOUSE_DBT_URL"], database))
    found = {}
    for model, columns in MODELS.items():
        digest = f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM (SELECT {columns} FROM {model}) AS t"
        found[model] = fetch(reader, digest)[0]
    reader.close()
    return found


def differences(what: str, before: dict[str, tuple], after: dict[str, tuple]) -> list[str]:
    return [f"{what} changed {model}: {before[model]} became {after[model]}" for model in MODELS if before[model] != after[model]]


def connect(url: str):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def run(connection, statement: str, parameters: dict | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def fetch(connection, statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def at(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


if __name__ == "__main__":
    raise SystemExit(main())
