"""What every component of the stack can do."""

from __future__ import annotations

import json
import signal
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path

from .. import secrets_file
from ..layout import HOME, Stack
from ..process import Daemon, Launch


class Component(ABC):
    """One server process: how it is started, asked for an answer, set up and ended."""

    name: str
    # Whether `up` waits for its answer.
    awaited = True
    stop_signal = signal.SIGTERM

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.secrets = secrets_file.load(stack)
        self.daemon = Daemon(stack.pids / self.name, stack.logs / f"{self.name}.log")

    @property
    def data(self) -> Path:
        return self.stack.folder / self.name

    @property
    def lib(self) -> Path:
        return HOME / "lib" / self.name

    @property
    @abstractmethod
    def address(self) -> str:
        """Where clients connect."""

    @property
    @abstractmethod
    def ports(self) -> list[int]:
        """Every port the process listens on."""

    def prepare(self) -> None:
        """What must exist before the process starts. Safe to repeat."""
        self.data.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def launch(self) -> Launch:
        """The process itself."""

    @abstractmethod
    def ask(self, timeout: float) -> None:
        """One real request, at most `timeout` seconds long; raises when the answer is not a good one."""

    def settle(self) -> None:
        """What can only be set up once the process answers. Safe to repeat."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The variables programs need to use this component."""


def http(method: str, url: str, body: object = None, timeout: float = 5) -> bytes:
    """One HTTP request with a JSON body; raises on any status above 299."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as response:
        return response.read()
