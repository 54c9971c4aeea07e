"""Starts a new Keycloak once, to keep what later starts need not do again: its empty database and its classes."""

from __future__ import annotations

import secrets
import shutil
import socket
import sys
import time

from .components.base import http
from .components.keycloak import Keycloak
from .errors import StackError
from .layout import HOST, Stack
from .process import Launch

_LIMIT_S = 300


class FirstStart(Keycloak):
    """A start without a realm, on a free port."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self._port = probe.getsockname()[1]

    @property
    def port(self) -> int:
        return self._port

    def prepare(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.link_program()

    def launch(self) -> Launch:
        # With an administrator whose password nobody knows: without one, Keycloak's page offers to make one. The realm
        # comes from files and needs none.
        admin = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": secrets.token_urlsafe(32)}
        return Launch(self.java(f"-XX:ArchiveClassesAtExit={self.archive}"), self.data, admin)

    def ask(self, timeout: float) -> None:
        http("GET", f"http://{HOST}:{self.port}/realms/master", timeout=timeout)


def main() -> int:
    stack = Stack("keycloak-setup", 0)
    keycloak = FirstStart(stack)
    keycloak.prepare()
    keycloak.daemon.start(keycloak.launch())
    try:
        _await(keycloak)
    finally:
        # It writes the archive on its way out.
        keycloak.daemon.signal(keycloak.stop_signal)
        ended = keycloak.daemon.ended_within(_LIMIT_S)
    if not ended or not keycloak.archive.exists():
        raise StackError(f"Keycloak left no archive of its classes:\n{keycloak.daemon.log_tail(15)}")
    shutil.copytree(keycloak.data / "data" / "h2", keycloak.database)
    shutil.rmtree(stack.folder)
    return 0


def _await(keycloak: FirstStart) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while keycloak.daemon.pid() and time.monotonic() < deadline:
        try:
            return keycloak.ask(3)
        except OSError:
            time.sleep(0.2)
    raise StackError(f"Keycloak's first start failed:\n{keycloak.daemon.log_tail(15)}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(str(error))
