"""Reads what was acknowledged to the producers."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from .topics import RAW, Table


def read(journals: list[Path], folder: Path) -> dict[str, int]:
    """The simulator's journals into acked-0.parquet and acked_http-0.parquet; counts attempts without an acknowledgement."""
    text, number = pa.string(), pa.int64()
    columns = {"p": pa.int32(), "o": number, "xxh3": text, "bytes": number, "clean": pa.bool_()}
    acked = Table(folder / "acked-0.parquet", columns)
    http = Table(
        folder / "acked_http-0.parquet",
        {"tenant": text, "device": text, "channel": text, "kind": text, "start": number, "value": number},
    )
    counts = {"attempts": 0, "acked": 0, "unacknowledged": 0, "ended": 0}
    for journal in journals:
        pending: dict[int, dict] = {}
        with journal.open() as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the torn end of a run that was killed
                if "journal" in entry:  # another run, whose attempts are numbered anew
                    counts["unacknowledged"] += len(pending)
                    pending.clear()
                _take(entry, pending, (acked, http), counts)
        counts["unacknowledged"] += len(pending)
    acked.close()
    http.close()
    return counts


def _take(entry: dict, pending: dict[int, dict], tables: tuple[Table, Table], counts: dict[str, int]) -> None:
    if "attempt" in entry:
        counts["attempts"] += 1
        pending[entry["attempt"]] = entry
    elif "ack" in entry:
        attempt = pending.pop(entry["ack"], None)
        if attempt is None or not 200 <= entry.get("status", 200) < 300:
            return
        counts["acked"] += 1
        if attempt["topic"] != RAW:
            return
        if attempt["way"] == "kafka":
            size, clean = attempt.get("payload_bytes", 0), "fault" not in attempt
            tables[0].add(entry["partition"], entry["offset"], attempt.get("payload_xxh3"), size, clean)
        else:
            _readings(attempt, tables[1])
    elif "end" in entry:
        counts["ended"] += 1


def _readings(attempt: dict, table: Table) -> None:
    for run in attempt.get("readings", []):
        for i, value in enumerate(run["values"]):
            start = run["start"] + i * run["step"]
            table.add(attempt["tenant"], attempt["device"], run["channel"], run["kind"], start, value)


def read_door(journal: Path | None, folder: Path) -> None:
    """The journal of the door's visitor into door-0.parquet."""
    table = Table(folder / "door-0.parquet", {"sequence": pa.int64()})
    if journal is not None and journal.exists():
        for line in journal.read_text().splitlines():
            table.add(json.loads(line)["door"]["sequence"])
    table.close()
