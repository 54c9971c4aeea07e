#!/usr/bin/env python3
"""Runs the micro-benchmarks and prints each step beside the bare limit that was measured in the same run.

A limit does the least that the step could do: the library's decoder without any guard, bytes that lie ready for the hash.
Read the ratio: absolute figures drift with the machine, the two of a line drift together. JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass

BENCHES = ["decode", "rules", "encode", "checksum"]
# What is measured against what: (bench binary, step, limit or None, what people call it).
STEPS = [
    ("decode", "walk_and_decode", "bare_decode", "decode decisions, poison isolated"),
    ("rules", "decide_and_encode", "bare_encode", "all rules and encoding of decisions"),
    ("encode", "gather+sort_and_make_columns", "bare_flatten", "rows gathered, sorted, made columns"),
    ("encode", "encode_parquet", "bare_encode_parquet", "columns to Parquet"),
    ("checksum", "checksum", "bare_hash", "checksum of verify"),
]
UNITS = {"item/s": 1.0, "Kitem/s": 1e3, "Mitem/s": 1e6, "Gitem/s": 1e9}
MEDIAN = 2


@dataclass
class Line:
    step: str
    per_message: int | None
    readings_per_second: float
    limit_readings_per_second: float

    @property
    def ratio(self) -> float:
        return self.readings_per_second / self.limit_readings_per_second


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = arguments.parse_args()
    rates = {bench: run(bench) for bench in BENCHES}
    lines = [line for step in STEPS for line in compare(rates, *step)]
    print(f"\n{'step, one core':<40}{'per message':>12}{'readings/s':>14}{'bare limit':>14}{'ratio':>8}")
    for line in lines:
        shape = "-" if line.per_message is None else line.per_message
        print(
            f"{line.step:<40}{shape:>12}{line.readings_per_second:>14,.0f}"
            f"{line.limit_readings_per_second:>14,.0f}{line.ratio:>8.2f}"
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump([asdict(line) | {"ratio": round(line.ratio, 3)} for line in lines], file, indent=1)
            file.write("\n")
    return 0


def run(bench: str) -> dict[tuple[str, int | None], float]:
    """Median rates of a benchmark by function and readings per message."""
    command = ["cargo", "bench", "--workspace", "--locked", "--bench", bench]
    print(f"== {' '.join(command)}", flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    sys.stdout.write(done.stdout)
    if done.returncode:
        raise SystemExit(f"the benchmark {bench} failed: see above")
    return parse(done.stdout)


def parse(report: str) -> dict[tuple[str, int | None], float]:
    """Reads the report of divan: a tree of names, and below each timed name a line of rates."""
    rates: dict[tuple[str, int | None], float] = {}
    function, shape = None, None
    for text in report.splitlines():
        name = re.match(r"^([│ ]*)[├╰]─ (\S+)", text)
        if name:
            if len(name[1]) == 0:
                function, shape = name[2], None
            else:
                shape = int(name[2])
            continue
        found = re.findall(r"([\d.]+) ([KMG]?item/s)", text)
        if len(found) > MEDIAN and function:
            value, unit = found[MEDIAN]
            rates[function, shape] = float(value) * UNITS[unit]
    return rates


def compare(rates, bench: str, step: str, limit: str, called: str) -> list[Line]:
    of = rates[bench]
    lines = []
    for shape in sorted({shape for name, shape in of if name == limit}, key=lambda shape: -(shape or 0)):
        # Steps joined by + follow one another: their times add up.
        rate = 1 / sum(1 / of[part, shape] for part in step.split("+"))
        lines.append(Line(called, shape, rate, of[limit, shape]))
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
