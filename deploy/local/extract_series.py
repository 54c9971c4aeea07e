#!/usr/bin/env python3
"""Unpacks the measured meter series of an eemeter wheel: `extract_series.py WHEEL FOLDER`.

Takes the series with hourly or half-hourly values; billing, daily and weather files stay behind.
Every file is written whole or not at all, and one with other columns than expected is refused.
"""

from __future__ import annotations

import gzip
import re
import sys
import zipfile
from pathlib import Path

SAMPLE = re.compile(r"(?:^|/)samples/((?:uk-(?:electricity|gas)|il-)[^/]*hourly[^/]*\.csv)\.gz$")
COLUMNS = "start,value"


def main(wheel: str, folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        found = [(match[1], member) for member in archive.namelist() if (match := SAMPLE.search(member))]
        if not found:
            sys.exit(f"{wheel} holds no hourly series: is it another version than the pinned one?")
        for name, member in sorted(found):
            rows = write_series(target / name, gzip.decompress(archive.read(member)))
            print(f"{name}: {rows} rows")


def write_series(path: Path, content: bytes) -> int:
    """Writes one series and returns its number of rows, the header not counted."""
    header, *rows = content.decode().splitlines()
    if header != COLUMNS:
        sys.exit(f"{path.name} has the columns {header!r}, not {COLUMNS!r}")
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    return len(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    main(*sys.argv[1:])
