"""Checks the chart; with --update writes what is derived (the golden files, the README's table, the copies of files)."""

from __future__ import annotations

import argparse
import copy
import difflib
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate.utils
import yaml

import docs
import files
import policy
import render
import settings

# Those that Chart.yaml allows and the package knows.
VERSIONS = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
# The package reads and parses 3 MB of definitions for every object; this makes it seconds instead of a minute.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
# Kinds of other makers, for which Kubernetes has no schema.
FOREIGN = {"monitoring.coreos.com/v1", "keda.sh/v1alpha1"}


class Checks:
    """Runs the checks one after the other and remembers what failed."""

    def __init__(self, update: bool, programs: Path | None) -> None:
        self.chart = render.Chart()
        self.update = update
        self.programs = programs
        self.objects = {name: self.chart.objects(render.example(name)) for name in render.EXAMPLES}
        self.failed = False

    def run(self, name: str, check: Callable[[], tuple[str, list[str]]]) -> None:
        """One check: what it did, and what it found."""
        started = time.monotonic()
        did, found = check()
        state = "FAIL" if found else "ok"
        print(f"{state:4} {name}: {did} ({time.monotonic() - started:.1f} s)")
        for finding in found:
            print(f"       {finding}")
        self.failed |= bool(found)

    def lint(self) -> tuple[str, list[str]]:
        found = [f"{name}: {e}" for name in render.EXAMPLES for e in render.lint(render.example(name))]
        return f"strict, {len(render.EXAMPLES)} examples", found

    def negative(self) -> tuple[str, list[str]]:
        """Each of the wrong values is refused, and what is said names it."""
        cases = yaml.safe_load((render.HELM / "check" / "negative.yaml").read_text())
        found = []
        for case in cases:
            try:
                self.chart.objects(render.merged(render.example("minimal"), case["values"]))
                found.append(f"{case['values']} is accepted")
            except Exception as error:  # noqa: BLE001 - whatever Helm says is what is looked at
                if case["says"] not in str(error):
                    found.append(f"{case['values']}: {case['says']!r} is not in: {str(error).strip()}")
        return f"{len(cases)} wrong values", found

    def golden(self) -> tuple[str, list[str]]:
        """What is rendered is what was reviewed."""
        found = []
        render.GOLDEN.mkdir(exist_ok=True)
        for name in render.EXAMPLES:
            file, text = render.GOLDEN / f"{name}.yaml", self.chart.text(render.example(name))
            if self.update:
                file.write_text(text)
            elif not file.exists() or file.read_text() != text:
                old = file.read_text().splitlines() if file.exists() else []
                difference = list(difflib.unified_diff(old, text.splitlines(), "golden", "rendered", lineterm="", n=2))
                found += [f"{name} differs; see it, then chart-check.sh --update:", *difference[:40]]
        return f"{sum(map(len, self.objects.values()))} objects", found

    def schemas(self) -> tuple[str, list[str]]:
        found, known = [], 0
        for name, objects in self.objects.items():
            own = [item for item in objects if item["apiVersion"] not in FOREIGN]
            known += len(own)
            for version in VERSIONS:
                for item in own:
                    try:
                        kubernetes_validate.validate(item, version, strict=True)
                    except kubernetes_validate.ValidationError as error:
                        found.append(f"{name}, {version}: {item['kind']} {item['metadata']['name']}: {error.message}")
        return f"{known} objects, Kubernetes {VERSIONS[0]} to {VERSIONS[-1]}", found

    def policy(self) -> tuple[str, list[str]]:
        found = [f"{name}: {f}" for name, objects in self.objects.items() for f in policy.findings(objects)]
        pods = sum(len(render.pod_specs(objects)) for objects in self.objects.values())
        return f"{pods} pods", found

    def planted(self) -> tuple[str, list[str]]:
        """Each planted change is found by the rule that is meant for it."""
        cases = yaml.safe_load((render.HELM / "check" / "planted.yaml").read_text())
        found = []
        for case in cases:
            objects = copy.deepcopy(self.objects["minimal"])
            kind, name = case.get("in", ["Deployment", "meterway-ingest"])
            place = next(i for i in objects if i["kind"] == kind and i["metadata"]["name"] == name)
            for key in case["at"][:-1]:
                place = place[key]
            place[case["at"][-1]] = case["to"]
            said = policy.findings(objects) + settings.findings(objects, None)
            if not any(case["says"] in finding for finding in said):
                found.append(f"{kind} {name}, {case['at']} = {case['to']}: no rule says {case['says']!r}, but {said}")
        return f"{len(cases)} changes that a rule must find", found

    def settings(self) -> tuple[str, list[str]]:
        found = [f"{n}: {f}" for n, objects in self.objects.items() for f in settings.findings(objects, self.programs)]
        how = "and by --check-config" if self.programs else "(programs not built: not by --check-config)"
        return f"keys and types by config.default.toml {how}", found

    def docs(self) -> tuple[str, list[str]]:
        if self.update:
            docs.update()
        return "README and values.yaml", docs.findings()

    def files(self) -> tuple[str, list[str]]:
        if self.update:
            files.update()
        count, found = files.findings()
        return f"{count} rules and dashboards as in deploy/", found


def main() -> int:
    parser = argparse.ArgumentParser(prog="chart-check.sh", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write golden files, the table of values and file copies")
    update = parser.parse_args().update
    if update:
        files.update()  # before anything is rendered: they are part of it
    folder = os.environ.get("METERWAY_BIN")
    programs = Path(folder) if folder and (Path(folder) / "ingest").exists() else None
    checks = Checks(update, programs)
    for name in ("files", "lint", "negative", "golden", "schemas", "policy", "planted", "settings", "docs"):
        checks.run(name, getattr(checks, name))
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
