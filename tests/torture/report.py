"""Renders reports of the attack, and of the planted bugs, into the section "Torture" of docs/reliability.md.

usage: report.py --into docs/reliability.md [--long REPORT…] [--slice REPORT…] [--trial REPORT…] [--planted REPORT]

Rounds of a long run are added up; a round that did not pass is shown as such and stays. Only what really happened counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

BEGIN, END = "<!-- torture:begin (written by tests/torture/report.py) -->", "<!-- torture:end -->"


def main() -> int:
    """See the module's documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--long", type=Path, nargs="*", default=[])
    parser.add_argument("--slice", type=Path, nargs="*", default=[])
    parser.add_argument("--trial", type=Path, nargs="*", default=[])
    parser.add_argument("--planted", type=Path)
    args = parser.parse_args()
    load = lambda paths: [json.loads(path.read_text()) for path in paths]  # noqa: E731
    parts = ["## Torture", "", INTRODUCTION]
    for title, reports in (("The long run", load(args.long)), ("The bounded attack", load(args.slice)), ("Trials", load(args.trial))):
        if reports:
            parts += [f"### {title}", "", *section(reports)]
    if args.planted:
        parts += ["### Planted bugs", "", *planted(json.loads(args.planted.read_text()))]
    write(args.into, "\n".join(parts).rstrip() + "\n")
    return 0


INTRODUCTION = """`tests/torture` runs every service in real processes, two replicas each, on three brokers (replication 3, two in sync),
kills, freezes and starves them by a seeded plan under steady load, and has a verifier of its own hold every acknowledged
reading against topics, lake and warehouse. Percentiles are nearest-rank over the samples that were seen. SeaweedFS stands in
for S3, PostgreSQL for Redshift, DynamoDB Local for DynamoDB.
"""


def write(path: Path, text: str) -> None:
    """Puts the text between the markers; a page without them gets both at its end."""
    page = path.read_text() if path.exists() else "# Reliability\n\nWhat the promises are worth, with the runs that show it.\n"
    if BEGIN not in page:
        page = page.rstrip() + f"\n\n{BEGIN}\n{END}\n"
    before, rest = page.split(BEGIN, 1)
    path.write_text(before + BEGIN + "\n" + text + END + rest.split(END, 1)[1])


def table(head: list[str], rows: list[list]) -> list[str]:
    """A Markdown table."""
    line = lambda cells: "| " + " | ".join(str(cell) for cell in cells) + " |"  # noqa: E731
    return [line(head), "|" + "---|" * len(head), *(line(row) for row in rows), ""]


def section(reports: list[dict]) -> list[str]:
    """Everything about runs that are added up."""
    return [*runs(reports), *promise(reports), *faults(reports), *recovery(reports), *sigterm(reports), *memory(reports),
            *outages(reports), *counters(reports), *missing(reports)]  # fmt: skip


def runs(reports: list[dict]) -> list[str]:
    rows = []
    for report in reports:
        outcome = "held" if report["passed"] else "**did not hold**: " + "; ".join(report["objections"])
        rows.append([report["date"], report["versions"]["commit"], f"`{report['command']}`", f"{report['seconds']:.0f} s", outcome])
    notes = [f"{report['date']}: {report['note']}\n" for report in reports if report.get("note")]
    return table(["date", "commit", "command", "time", "outcome"], rows) + notes


def total(reports: list[dict], *path: str) -> float:
    """Sum of a number of all reports."""
    found = 0
    for report in reports:
        for key in path:
            report = (report or {}).get(key)
        found += report or 0
    return found


def promise(reports: list[dict]) -> list[str]:
    counts = lambda name: int(total(reports, "verify", "independent", "counts", name))  # noqa: E731
    problems = Counter()
    for report in reports:
        for problem in report["verify"]["independent"]["problems"]:
            problems[problem["check"]] += problem["count"]
    wanted = ["lost", "duplicated", "acknowledged_lost", "same_fact_twice", "dead_letter_missing"]
    wanted += ["warehouse_reading_lost", "warehouse_reading_duplicated"]
    other = sum(count for check, count in problems.items() if check not in wanted)
    rate = [report["load"]["readings_per_second"] for report in reports if report.get("load")]
    agree = all(r["verify"]["meterway"]["clean"] == r["verify"]["independent"]["clean"] for r in reports)
    rows = [
        ["readings in the raw topic", f"{counts('raw_reading'):,}"],
        ["messages acknowledged to the simulator", f"{counts('acked'):,} by Kafka, {counts('door'):,} by the door's visitor"],
        ["readings acknowledged over HTTP", f"{counts('acked_http'):,}"],
        ["lost / duplicated at rest", f"**{problems['lost']} / {problems['duplicated']}**"],
        ["acknowledged and not in the topic", problems["acknowledged_lost"]],
        ["one fact twice in the lake", problems["same_fact_twice"]],
        ["rejected without an unchanged copy", problems["dead_letter_missing"]],
        ["warehouse against lake: lost / duplicated", f"{problems['warehouse_reading_lost']} / {problems['warehouse_reading_duplicated']}"],
        ["other objections of the verifier", other],
        ["rejected messages, kinds of poison", f"{counts('rejected_messages'):,}, {len(poison(reports))}"],
        ["decisions emitted again (dropped by every reader)", f"{counts('re_emissions'):,}"],
        ["dead letters written again", f"{counts('repeated_dead_letters'):,}"],
        ["`meterway verify` says the same", "yes" if agree else "**no**"],
        ["readings per second", ", ".join(f"{one:,.0f}" for one in rate)],
    ]
    return table(["what", "found"], rows)


def poison(reports: list[dict]) -> Counter:
    found = Counter()
    for report in reports:
        found.update(report["verify"]["independent"]["counts"]["poison_codes"])
    return found


def faults(reports: list[dict]) -> list[str]:
    totals = Counter()
    injected, not_happened, ends = Counter(), Counter(), Counter()
    for report in reports:
        totals.update(report["totals"])
        injected.update(report["injected"])
        not_happened.update(report["did_not_happen"])
        ends.update({service: end["count"] for service, end in report["ended_by_themselves"].items()})
    lines = table(["fault", "took place"], [[name.replace("_", " "), count] for name, count in totals.items()])
    if ends:
        said = ", ".join(f"{service} {count}" for service, count in sorted(ends.items()))
        lines += [f"Processes that ended by themselves and were started again (a woken zombie gives up like this): {said}.", ""]
    if not_happened:
        said = ", ".join(f"{name} ({count})" for name, count in sorted(not_happened.items()))
        lines += [f"Planned and not injected, because the place was not passed in time: {said}.", ""]
    return lines


def merged(reports: list[dict], key: str) -> dict[str, dict[str, list[dict]]]:
    """Spreads of all reports by their two names."""
    found: dict[str, dict[str, list[dict]]] = {}
    for report in reports:
        for service, of in report[key].items():
            for fault, spread in of.items():
                found.setdefault(service, {}).setdefault(fault, []).append(spread)
    return found


def spread(of: list[dict]) -> list:
    """Spreads of rounds in one row. Percentiles of rounds cannot be added up: the worst round's is shown."""
    return [sum(s["n"] for s in of), *(f"{max(s[key] for s in of):.1f}" for key in ("p50_s", "p99_s", "max_s"))]


def recovery(reports: list[dict]) -> list[str]:
    rows = [[service, fault, *spread(of)] for service, faults in merged(reports, "recovery").items() for fault, of in faults.items()]
    lines = ["Seconds from the fault (of an outage: from its end) until the process itself, or for components the service, had",
             "committed something again; of several rounds the worst one's percentiles.", ""]  # fmt: skip
    lines += table(["service", "fault", "n", "p50", "p99", "longest"], rows)
    missing = Counter()
    for report in reports:
        missing.update(report["not_recovered"])
    if missing:
        said = ", ".join(f"{name} ({count})" for name, count in sorted(missing.items()))
        lines += [f"Without a commit of its own within the limit of 25 s (often the other replica had its share by then): {said}.", ""]
    return lines


def sigterm(reports: list[dict]) -> list[str]:
    found: dict[str, list[dict]] = {}
    for report in reports:
        for service, one in report["sigterm"]["under_load"].items():
            found.setdefault(service, []).append(one)
    rows = [[service, *spread(of)] for service, of in found.items()]
    return ["Seconds from SIGTERM under load to the end of the process.", "", *table(["service", "n", "p50", "p99", "longest"], rows)]


def memory(reports: list[dict]) -> list[str]:
    rows = []
    for number, report in enumerate(reports, 1):
        for service, one in report["memory"].items():
            rows.append([number, service, f"{one['first_third_mib']:.0f}", f"{one['last_third_mib']:.0f}", f"{one['max_mib']:.0f}",
                         f"{one['slope_mib_per_min']:+.1f}"])  # fmt: skip
    head = ["run", "service", "median, first third (MiB)", "median, last third", "largest", "slope (MiB/min)"]
    return ["Resident memory of processes older than 10 s, sampled twice a second.", "", *table(head, rows)]


def outages(reports: list[dict]) -> list[str]:
    rows = []
    for report in reports:
        for one in report["outages"]:
            door = ", ".join(f"{status}: {count}" for status, count in one["door"]["by_status"].items())
            peak = ", ".join(f"{service} {mib:.0f}" for service, mib in one["peak_mib"].items())
            back = ", ".join(f"{service} {seconds:.1f}" for service, seconds in one["recovery_s"].items())
            told = f"{one['door']['told_when']} / {one['door']['not_told_when']}"
            rows.append([one["away"], f"{one['seconds']:.0f} s", door, told, peak, back])
    head = ["away at full load", "for", "the door answered", "429/503 with / without `Retry-After`", "peak MiB", "back after (s)"]
    return table(head, rows) if rows else []


def counters(reports: list[dict]) -> list[str]:
    found = Counter()
    for report in reports:
        found.update(report["counters"])
    shown = ("conflicts", "re_emissions", "gaps", "retries_total", "rebuilt", "snapshots_total", "dead_lettered", "lost")
    rows = [[f"`{name}`", f"{value:.0f}"] for name, value in sorted(found.items()) if any(word in name for word in shown)]
    lines = ["Counters over all processes, lower bounds (what a process counted in its last half second died with it). A refused",
             "stale commit is a `conflict`: `restarted` means that a second writer had taken in the same records.", ""]  # fmt: skip
    return lines + table(["counter", "sum"], rows)


def missing(reports: list[dict]) -> list[str]:
    return ["**Not injected:** " + "; ".join(reports[0]["not_injected"]) + ".", ""]


def planted(report: dict) -> list[str]:
    rows = []
    for one in report["outcomes"]:
        by = one["by"][0] if one["by"] else "**not found**"
        rows.append([f"`{one['bug']}`", f"`{one['suite'].split(' ')[0]}` {by}", "" if one["seconds"] is None else f"{one['seconds']:.1f} s"])
    lines = [f"{report['date']}, commit {report['commit']}, the runner of `make planted`: each bug alone in the real code, and the cheapest suite",
             "that should notice; the suite passes without the bug.", ""]  # fmt: skip
    note = [report["note"], ""] if report.get("note") else []
    return lines + table(["bug", "found by", "after"], rows) + note


if __name__ == "__main__":
    sys.exit(main())
