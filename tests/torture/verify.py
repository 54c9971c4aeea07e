"""Holds what was acknowledged against what is there: journals, topics, lake and warehouse, reading by reading.

usage: verify.py --settings FILE --journal FILE… [--door-journal FILE] --work FOLDER

Knows nothing of Meterway's code: its own decoder (fastavro), its own reader of the lake (DuckDB's iceberg_scan), the
database's own COPY. Prints one JSON object; exit code 0 when everything holds, 1 when something does not, 2 when it could
not be found out. Memory stays bounded however much was delivered: everything goes through files of the work folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from verifier import checks, journal, stores, topics


def main() -> int:
    """See the module's documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--journal", type=Path, action="append", default=[])
    parser.add_argument("--door-journal", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="leave the files of the work folder for a closer look")
    args = parser.parse_args()
    try:
        report = verify(args)
    except Exception as error:  # Not to know is neither clean nor unclean.
        print(f"verify.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    json.dump(report, sys.stdout, indent=1)
    print()
    return 0 if report["clean"] else 1


def verify(args: argparse.Namespace) -> dict:
    """Reads everything, compares, and says what was found."""
    began = time.monotonic()
    lines = (line.strip() for line in args.settings.read_text().splitlines())
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    attempts = journal.read(args.journal, args.work)
    journal.read_door(args.door_journal, args.work)
    read_topics(settings, args.work)
    db = stores.connect(settings, args.work)
    snapshots = stores.read_lake(db, settings, args.work)
    stores.read_warehouse(db, settings, args.work)
    adopt(db, args.work)
    counts = checks.counts(db)
    problems = checks.run(db)
    if not counts["acked"] and not counts["acked_http"]:
        problems.append({"check": "nothing_acknowledged", "means": "there was nothing to verify", "count": 1, "examples": []})
    db.close()
    if not args.keep and not problems:
        shutil.rmtree(args.work)
    seconds = round(time.monotonic() - began, 1)
    report = {"clean": not problems, "seconds": seconds, "journal": attempts, "snapshots": snapshots}
    return report | {"counts": counts, "problems": problems}


def read_topics(settings: dict[str, str], work: Path) -> None:
    """Every partition of every topic, two at a time."""
    with ProcessPoolExecutor(2) as pool:
        waiting = [
            pool.submit(topics.read, settings, topic, partition, str(work))
            for topic in topics.READERS
            for partition in topics.partitions(settings["KAFKA_BOOTSTRAP"], topic)
        ]
        for one in waiting:
            one.result()


def adopt(db, work: Path) -> None:
    """Makes the checks' tables of the files; a table without files is empty."""
    checks.create_tables(db)
    for name in checks.SCHEMA:
        if any(work.glob(f"{name}-*.parquet")):
            db.execute(f"INSERT INTO {name} BY NAME SELECT * FROM read_parquet('{work}/{name}-*.parquet')")


if __name__ == "__main__":
    sys.exit(main())
