"""The chart as Helm renders it, and the values it is rendered with."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import helm_python
import yaml

HELM = Path(__file__).resolve().parents[1]
ROOT = HELM.parents[1]
CHART = HELM / "meterway"
GOLDEN = HELM / "check" / "golden"

# What an example is made of; later files win.
EXAMPLES = {
    "minimal": ["minimal"],
    "ha": ["minimal", "ha"],
    "msk": ["msk"],
    "strimzi": ["strimzi"],
    "dev": ["dev"],
}


def merged(*tables: dict) -> dict:
    """The tables on top of one another, as Helm does with -f a -f b."""
    result: dict = {}
    for table in tables:
        _override(result, copy.deepcopy(table))
    return result


def _override(into: dict, table: dict) -> None:
    for key, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _override(into[key], value)
        else:
            into[key] = value


def example(name: str) -> dict:
    """The values of an example."""
    files = [CHART / "examples" / f"{part}.yaml" for part in EXAMPLES[name]]
    return merged(*(yaml.safe_load(file.read_text()) for file in files))


class Chart:
    """The chart, loaded once."""

    def __init__(self) -> None:
        self._chart = helm_python.Chart.load(str(CHART))

    def objects(self, values: dict) -> list[dict]:
        """Every object that an installation with these values makes; raises what Helm would say."""
        self._chart.validate_schema(values)
        rendered = self._chart.render(values, name="meterway", namespace="meterway")
        found = []
        for path in sorted(rendered):
            if path.endswith(".yaml"):
                found += [item for item in yaml.safe_load_all(rendered[path]) if item]
        return found

    def text(self, values: dict) -> str:
        """The same as one file that people can read and compare."""
        parts = [yaml.safe_dump(item, sort_keys=True, width=120) for item in self.objects(values)]
        return "---\n".join(parts)


def lint(values: dict) -> list[str]:
    """What `helm lint --strict` objects to."""
    report = helm_python.lint(str(CHART), values, strict=True, namespace="meterway")
    return [m["error"] for m in report["messages"] if m["severity"] >= 2] + list(report["errors"] or [])


def pod_specs(objects: list[dict]) -> list[tuple[str, dict, dict]]:
    """Every pod of the objects: where it comes from, its metadata, its spec."""
    found = []
    for item in objects:
        where = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Pod":
            found.append((where, item["metadata"], item["spec"]))
        elif item["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = item["spec"]["template"]
            found.append((where, template["metadata"], template["spec"]))
    return found


def defaults_of(program: str) -> dict:
    """The keys of a service with their defaults."""
    return tomllib.loads((ROOT / "services" / program / "config.default.toml").read_text())
