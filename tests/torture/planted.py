"""Plants bugs, and expects the suites to find them.

usage: planted.py [--only NAME…] [--slice] [--report FILE]

All patches of planted/ are applied together to one copy of the source tree, which is built once; each bug sleeps behind
PLANTED_BUG=NAME. For every bug the cheapest suite that should notice it runs twice: without the bug it must pass, with it
it must fail. Fails when a bug is not found, or when a patch no longer applies. Needs the local stack's settings in the
environment, as the component tests do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).resolve().parent / "planted"
HOME = ROOT / ".local" / "planted"
SOURCE, TARGET = HOME / "src", HOME / "target"
SUITE_LIMIT_S = 300


@dataclass(frozen=True)
class Suite:
    """Tests of one crate: of its library or of its component tests, those whose names contain the filter."""

    package: str
    target: str
    filter: str

    def __str__(self) -> str:
        return f"{self.package} --{'lib' if self.target == 'lib' else 'test ' + self.target} {self.filter}"


# The cheapest suite that should notice, by bug.
BUGS = {
    "no-head-check": Suite("lake", "it", "commit_race"),
    "unpinned-commit": Suite("lake", "it", "commit_race"),
    "watermark-ignored": Suite("lake", "lib", "heads"),
    "wrong-watermark-after-reemission": Suite("lake", "lib", "heads"),
    "unknown-outcome-is-failure": Suite("lake", "lib", "commit"),
    "place-ignored": Suite("parquet-sink", "lib", "judge"),
    "two-messages": Suite("validate", "it", "partly_rejected"),
    "dead-letter-after-offset": Suite("validate", "it", "no_decision_stands_without_its_dead_letter"),
    "dedup-not-rebuilt": Suite("validate", "it", "orderly_restart"),
    "offsets-before-data": Suite("parquet-sink", "it", "killed_behind_the_files_and_before_the_commit"),
    "no-drain-on-revoke": Suite("parquet-sink", "it", "partitions_move_without_loss"),
    "ledger-outside-transaction": Suite("redshift-loader", "it", "a_connection_that_breaks_behind_the_commit"),
    "ack-before-delivery": Suite("ingest", "it", "the_answer_waits_for_the_report"),
}
# Found within one small crate: what `make test` can afford.
SLICE = [
    "no-head-check",
    "unpinned-commit",
    "watermark-ignored",
    "wrong-watermark-after-reemission",
    "unknown-outcome-is-failure",
]


def main() -> int:
    """See the module's documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(BUGS), metavar="NAME", help="only these bugs")
    parser.add_argument("--slice", action="store_true", help=f"only {', '.join(SLICE)}")
    parser.add_argument("--report", type=Path, help="write the outcome as JSON")
    args = parser.parse_args()
    unlisted = {patch.stem for patch in PATCHES.glob("*.patch")} ^ set(BUGS)
    if unlisted:
        print(f"a patch without a suite, or a suite without a patch: {', '.join(sorted(unlisted))}", file=sys.stderr)
        return 1
    names = args.only or (SLICE if args.slice else list(BUGS))
    refused = copy_tree()
    if refused:
        print("these patches no longer apply:\n  " + "\n  ".join(refused), file=sys.stderr)
        return 1
    programs = build(sorted({(BUGS[name].package, BUGS[name].target) for name in names}))
    outcomes = try_all(names, programs)
    show(outcomes)
    if args.report:
        write_report(args.report, outcomes)
    return 0 if all(outcome["found"] for outcome in outcomes) else 1


def copy_tree() -> list[str]:
    """Brings the copy to the state of the checkout with every patch in it; returns the patches that do not apply.

    Only files whose content differs are written, so that nothing is compiled again that has not changed.
    """
    fresh = HOME / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    for name in files:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, fresh / name)
    refused = []
    for patch in sorted(PATCHES.glob("*.patch")):
        command = ["patch", "-p1", "--forward", "--no-backup-if-mismatch", "--reject-file=-", "-i", str(patch)]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True)
        if done.returncode:
            refused.append(f"{patch.name}: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    for name in files:
        content, kept = (fresh / name).read_bytes(), SOURCE / name
        if not kept.exists() or kept.read_bytes() != content:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
    for kept in [path for path in SOURCE.rglob("*") if path.is_file()]:
        if not (fresh / kept.relative_to(SOURCE)).exists():
            kept.unlink()
    shutil.rmtree(fresh)
    return refused


def build(targets: list[tuple[str, str]]) -> dict[tuple[str, str], Path]:
    """Builds the test programs of the copy; returns them by package and target."""
    share_dependencies()
    command = [*cargo(), "--locked", "--no-run", "--message-format=json-render-diagnostics"]
    for package in sorted({package for package, _ in targets}):
        command += ["-p", package]
    command += sorted({flag for _, target in targets for flag in (["--lib"] if target == "lib" else [f"--test={target}"])})
    began = time.monotonic()
    print(f"building {', '.join(sorted({package for package, _ in targets}))} with every bug asleep", flush=True)
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "CARGO_INCREMENTAL": "0"} | cargo_environment()
    done = subprocess.run(command, cwd=SOURCE, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit("the copy with the bugs does not build")
    programs = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            package = Path(message["manifest_path"]).parent.name
            kind = "lib" if "lib" in message["target"]["kind"] else message["target"]["name"]
            programs[package, kind] = Path(message["executable"])
    print(f"built in {time.monotonic() - began:.0f} s", flush=True)
    return programs


def cargo() -> list[str]:
    """The command that compiles tests, with the features of the whole workspace whatever packages are named: another choice
    of features would compile half of the dependencies again."""
    if own := os.environ.get("METERWAY_CARGO"):
        return [own, "test"]
    return ["cargo", "-Z", "feature-unification", "--config", 'resolver.feature-unification="workspace"', "test"]


def cargo_environment() -> dict[str, str]:
    """Lets a stable cargo take `-Z feature-unification`, without the compiler or any build script hearing of it."""
    return {"__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS": "nightly"}


def share_dependencies() -> None:
    """Begins the copy's target folder with what the checkout has compiled: by links, which cost nothing."""
    known = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
    if TARGET.exists() or not known.exists():
        return
    debug = TARGET / "debug"
    debug.mkdir(parents=True)
    for part in ("deps", "build", ".fingerprint"):
        if (known / part).exists():
            linked = subprocess.run(["cp", "-al", str(known / part), str(debug)], stderr=subprocess.DEVNULL)
            if linked.returncode:  # Another file system.
                subprocess.run(["cp", "-a", str(known / part), str(debug)], check=True)


def try_all(names: list[str], programs: dict[tuple[str, str], Path]) -> list[dict]:
    """Runs each suite without its bug, then with it."""
    healthy: dict[Suite, tuple[bool, str]] = {}
    outcomes = []
    for name in names:
        suite = BUGS[name]
        program = programs[suite.package, suite.target]
        if suite not in healthy:
            failed, ran, _, output = run(suite, program, bug="")
            healthy[suite] = (not failed and ran > 0, output)
        if not healthy[suite][0]:
            reason = "the suite fails without the bug, or has no such test"
            print(healthy[suite][1][-3000:], file=sys.stderr)
            outcomes.append({"bug": name, "suite": str(suite), "found": False, "by": [], "seconds": None, "why": reason})
            continue
        failed, _, seconds, output = run(suite, program, bug=name)
        outcome = {"bug": name, "suite": str(suite), "found": bool(failed), "by": failed, "seconds": seconds}
        outcome["why"] = first_reason(output) if failed else "NOT FOUND"
        outcomes.append(outcome)
        print(f"  {name}: {'found' if failed else 'NOT FOUND'} ({seconds:.1f} s)", flush=True)
    return outcomes


def run(suite: Suite, program: Path, bug: str) -> tuple[list[str], int, float, str]:
    """Failed tests, number of tests, seconds until the first failure (or the end), and what was written."""
    environment = {key: value for key, value in os.environ.items() if key != "PLANTED_BUG"}
    if bug:
        environment["PLANTED_BUG"] = bug
    began = time.monotonic()
    command = [str(program), suite.filter, "--test-threads=4"]
    # Beside the crate, as cargo runs it.
    folder = SOURCE / next(path for path in (f"crates/{suite.package}", f"services/{suite.package}") if (SOURCE / path).exists())
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    limit = threading.Timer(SUITE_LIMIT_S, process.kill)
    limit.start()
    failed, ran, first, lines = [], 0, None, []
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)", line):
            ran += 1
            if found[2] == "FAILED":
                failed.append(found[1])
                first = first or time.monotonic() - began
    ended = process.wait()
    limit.cancel()
    if ended and not failed:
        failed = ["(the program itself)"]
    return failed, ran, round(first or time.monotonic() - began, 2), "".join(lines)


def first_reason(output: str) -> str:
    """What the first failing test says, on one line."""
    found = re.search(r"panicked at [^\n]*\n((?:.+\n){1,4})", output)
    return " ".join(found[1].split())[:160] if found else ""


def show(outcomes: list[dict]) -> None:
    """The table: bug, found by, time to detection."""
    print(f"\n{'bug':<34}{'found by':<60}{'after':>8}")
    for outcome in outcomes:
        by = outcome["by"][0] if outcome["by"] else "NOT FOUND"
        after = "" if outcome["seconds"] is None else f"{outcome['seconds']:.1f} s"
        print(f"{outcome['bug']:<34}{outcome['suite'].split(' ')[0] + ' ' + by:<60}{after:>8}")
    print(f"{sum(outcome['found'] for outcome in outcomes)} of {len(outcomes)} planted bugs found")


def write_report(path: Path, outcomes: list[dict]) -> None:
    """The outcome with its date and commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"date": date, "commit": commit, "outcomes": outcomes}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
