"""That the services know the settings which the chart gives them: keys, types, and, with the programs, everything."""

from __future__ import annotations

import os
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from render import defaults_of

SHARED = "METER__"


def findings(objects: list[dict], programs: Path | None) -> list[str]:
    """Settings that a service does not know."""
    configs = {i["metadata"]["name"]: i["data"]["config.toml"] for i in objects if i["kind"] == "ConfigMap" and "config.toml" in i["data"]}
    found = []
    for item in objects:
        if item["kind"] != "Deployment":
            continue
        spec = item["spec"]["template"]["spec"]
        container = spec["containers"][0]
        mounted = [v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v]
        if not mounted:
            continue
        program = container["image"].rsplit("/", 1)[-1].split(":")[0].split("@")[0]
        variables = [variable["name"] for variable in container.get("env", [])]
        where = item["metadata"]["name"]
        text = configs.get(mounted[0], "")
        found += [f"{where}: {finding}" for finding in _unknown(program, tomllib.loads(text), variables)]
        if programs is not None and (programs / program).exists():
            found += [f"{where}: {finding}" for finding in _refused(programs / program, text, variables)]
    return found


def _unknown(program: str, config: dict, variables: list[str]) -> Iterator[str]:
    defaults = defaults_of(program)
    for path, value in _leaves(config):
        known, default = _find(defaults, path)
        if not known:
            yield f"{program} has no setting {'.'.join(path)}"
        elif default is not None and type(default) is not type(value):
            yield f"{'.'.join(path)} is a {type(value).__name__}, {program} wants a {type(default).__name__}"
    own = f"METER_{program.upper().replace('-', '_')}__"
    for name in variables:
        prefix = next((p for p in (own, SHARED) if name.startswith(p)), None)
        if prefix is None:
            yield f"{name} means nothing to {program}"
        elif not _find(defaults, [part.lower() for part in name.removeprefix(prefix).split("__")])[0]:
            yield f"{program} has no setting for {name}"


def _find(defaults: dict, path: list[str]) -> tuple[bool, object]:
    """Whether the key is known, and its default. Maps of properties take every key."""
    if path == ["postgres", "ca_file"]:  # the one key that has no default, because none could be right
        return True, None
    place: object = defaults
    for depth, key in enumerate(path):
        if depth and path[depth - 1] == "properties":
            return True, None
        if not isinstance(place, dict) or key not in place:
            return False, None
        place = place[key]
    return True, place


def _leaves(table: dict, above: list[str] | None = None) -> Iterator[tuple[list[str], object]]:
    for key, value in table.items():
        path = [*(above or []), key]
        if isinstance(value, dict):
            yield from _leaves(value, path)
        else:
            yield path, value


def _refused(program: Path, text: str, variables: list[str]) -> Iterator[str]:
    """What the program itself says. Secrets are stand-ins of the right form."""
    environment = {"PATH": os.environ["PATH"]}
    for name in variables:
        url = name.endswith(("URI", "URL"))
        environment[name] = "postgresql://user:password@host:5432/database" if url else "0123456789abcdef"
    if "METER__REGISTRY__URL" in environment:
        environment["METER__REGISTRY__URL"] = "https://user:password@registry:443"
    if "METER_ALERT__WEBHOOK__URL" in environment:
        environment["METER_ALERT__WEBHOOK__URL"] = "https://example.com/hook"
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [str(program), "--config", file.name, "--check-config"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        yield f"--check-config ends with {done.returncode}: {done.stderr.strip()}"
