"""The chart's copies of Prometheus rules and Grafana dashboards. A chart cannot hold files from outside its folder, so it
holds copies, and this sees to it that they are equal."""

from __future__ import annotations

import shutil
from pathlib import Path

from render import CHART, ROOT

# Where the originals are, which of them, and where the copies go.
PAIRS = [
    (ROOT / "deploy" / "prometheus" / "rules", "*.yaml", CHART / "files" / "rules"),
    (ROOT / "deploy" / "grafana" / "dashboards", "*.json", CHART / "files" / "dashboards"),
]


def findings() -> tuple[int, list[str]]:
    """The number of copies, and what differs."""
    count, found = 0, []
    for source, pattern, target in PAIRS:
        originals, copies = _files(source, pattern), _files(target, pattern)
        count += len(copies)
        for name in sorted(originals.keys() | copies.keys()):
            if originals.get(name) != copies.get(name):
                found.append(f"{target.relative_to(ROOT)}/{name} is not {source.relative_to(ROOT)}/{name}; run chart-check.sh --update")
    return count, found


def update() -> None:
    """Copies the originals, and removes what has none."""
    for source, pattern, target in PAIRS:
        originals = _files(source, pattern)
        for file in target.glob(pattern):
            if file.name not in originals:
                file.unlink()
        for name in originals:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def _files(folder: Path, pattern: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob(pattern)} if folder.exists() else {}
