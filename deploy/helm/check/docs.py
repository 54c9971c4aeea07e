"""The table of values in the chart's README, in the form of helm-docs: from the comments `# --` of values.yaml."""

from __future__ import annotations

import json
import re

import yaml

from render import CHART

BEGIN, END = "<!-- values: made from values.yaml by chart-check.sh --update -->", "<!-- end of values -->"
README = CHART / "README.md"


def findings() -> list[str]:
    """Values without a description, and a table that is not that of values.yaml."""
    found = [f"values.yaml: {path} has no description (# --)" for path in _undocumented()]
    if _current() != _table():
        found.append("README.md: the table of values is not that of values.yaml; run chart-check.sh --update")
    return found


def update() -> None:
    """Writes the table."""
    text = README.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    README.write_text(f"{text[:start]}\n\n{_table()}\n{text[end:]}")


def _current() -> str | None:
    text = README.read_text()
    if BEGIN not in text or END not in text:
        return None
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip("\n") + "\n"


def _table() -> str:
    rows = ["| value | type | default | meaning |", "|---|---|---|---|"]
    for path, node, text in _entries():
        if text is None:
            continue
        value = yaml.safe_load(yaml.serialize(node))
        kind = {bool: "bool", int: "int", str: "string", list: "list", dict: "object", type(None): "int"}[type(value)]
        default = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
        rows.append(f"| `{path}` | {kind} | `{default}` | {text} |")
    return "\n".join(rows) + "\n"


def _undocumented() -> list[str]:
    """Leaves that neither they nor anything above them describes."""
    described = {path for path, _, text in _entries() if text is not None}
    leaves = [path for path, node, _ in _entries() if not isinstance(node, yaml.MappingNode)]
    return [leaf for leaf in leaves if not any(leaf == d or leaf.startswith(f"{d}.") for d in described)]


def _entries() -> list[tuple[str, yaml.Node, str | None]]:
    text = (CHART / "values.yaml").read_text()
    lines = text.splitlines()
    found: list[tuple[str, yaml.Node, str | None]] = []

    def walk(node: yaml.MappingNode, above: str) -> None:
        for key, value in node.value:
            path = f"{above}{key.value}"
            comment = _comment(lines, key.start_mark.line) if key.start_mark.column == _indent(lines, key) else None
            found.append((path, value, comment))
            if isinstance(value, yaml.MappingNode) and comment is None:
                walk(value, f"{path}.")

    walk(yaml.compose(text), "")
    return found


def _indent(lines: list[str], key: yaml.Node) -> int:
    line = lines[key.start_mark.line]
    return len(line) - len(line.lstrip())


def _comment(lines: list[str], line: int) -> str | None:
    above = lines[line - 1].strip() if line else ""
    found = re.fullmatch(r"# -- (.+)", above)
    return found[1] if found else None
