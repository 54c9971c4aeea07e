"""Where one stack lives: its name, its folders and its ports."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import StackError

HOST = "127.0.0.1"
DEFAULT_NAME = "demo"
DEFAULT_PORT_BASES = {"demo": 29000, "dev": 31000, "test": 25000}
# The highest offset in use is that of the S3 emulator's admin gRPC port, 10000 above its neighbours.
HIGHEST_PORT_BASE = 65535 - 10000 - 100

CHECKOUT = Path(__file__).resolve().parents[3]
HOME = CHECKOUT / ".local"
CONFIG = Path(__file__).resolve().parents[1] / "config"


@dataclass(frozen=True)
class Stack:
    """One named set of components with its own data, logs and ports."""

    name: str
    port_base: int
    brokers: int = 1
    # The identity server, "keycloak" or "mock"; none when empty.
    oidc: str = ""

    @property
    def folder(self) -> Path:
        """Everything this stack writes."""
        return HOME / "stacks" / self.name

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def pids(self) -> Path:
        return self.folder / "pids"

    @property
    def env_file(self) -> Path:
        return self.folder / "stack.env"

    def port(self, offset: int) -> int:
        return self.port_base + offset

    def url(self, offset: int, path: str = "") -> str:
        return f"http://{HOST}:{self.port(offset)}{path}"


def from_environment() -> Stack:
    """The stack that METERWAY_STACK and METERWAY_PORT_BASE name."""
    name = os.environ.get("METERWAY_STACK") or DEFAULT_NAME
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
        raise StackError(f"METERWAY_STACK={name!r} is not a stack name: use lower-case letters, digits and '-'.")
    base = _wanted_port_base(name) or recorded_port_base(name) or _default_port_base(name)
    return Stack(name, base, _wanted_brokers() or recorded_brokers(name) or 1, _wanted_oidc() or recorded_oidc(name))


def recorded_port_base(name: str) -> int | None:
    """The port base the stack was last started with."""
    return _recorded(name, "METERWAY_PORT_BASE")


def recorded_brokers(name: str) -> int | None:
    """The number of Kafka brokers the stack was last started with."""
    return _recorded(name, "METERWAY_KAFKA_BROKERS")


def recorded_oidc(name: str) -> str:
    """The identity server the stack was last started with."""
    return _recorded_text(name, "METERWAY_OIDC") or ""


def _recorded(name: str, setting: str) -> int | None:
    found = _recorded_text(name, setting)
    return int(found) if found else None


def _recorded_text(name: str, setting: str) -> str | None:
    file = Stack(name, 0).env_file
    found = re.search(rf"^{setting}=(\w+)$", file.read_text(), re.MULTILINE) if file.exists() else None
    return found[1] if found else None


def _wanted_brokers() -> int | None:
    given = os.environ.get("METERWAY_KAFKA_BROKERS")
    if given not in (None, "", "1", "3"):
        raise StackError(f"METERWAY_KAFKA_BROKERS={given!r} must be 1 or 3: two brokers survive no loss of one.")
    return int(given) if given else None


def _wanted_oidc() -> str | None:
    given = os.environ.get("METERWAY_OIDC")
    if given not in (None, "", "keycloak", "mock"):
        raise StackError(f"METERWAY_OIDC={given!r} must be keycloak or mock.")
    return given


def _wanted_port_base(name: str) -> int | None:
    given = os.environ.get("METERWAY_PORT_BASE")
    if not given:
        return None
    if not given.isdecimal() or not 1024 <= int(given) <= HIGHEST_PORT_BASE:
        raise StackError(f"METERWAY_PORT_BASE={given!r} must be a number from 1024 to {HIGHEST_PORT_BASE}.")
    # A shell that took over one stack's settings, and was then told another name, would end up here.
    for other, base in DEFAULT_PORT_BASES.items():
        if base == int(given) and other != name:
            raise StackError(f"METERWAY_PORT_BASE={given} is the range of stack {other}, not of {name}: unset it.")
    return int(given)


def _default_port_base(name: str) -> int:
    if name not in DEFAULT_PORT_BASES:
        raise StackError(f"Stack {name!r} has no default ports: set METERWAY_PORT_BASE, for example 33000.")
    return DEFAULT_PORT_BASES[name]
