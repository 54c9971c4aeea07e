"""Which ports are taken, and by whom."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .layout import HOST

_LISTEN = "0A"


def busy(ports: list[int]) -> dict[str, list[int]]:
    """The ports of `ports` that cannot be bound, by their holder in words."""
    holders: dict[str, list[int]] = {}
    for port in ports:
        if not _bindable(port):
            holders.setdefault(_holder(port), []).append(port)
    return holders


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    inodes = _inodes_on(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            sockets = {os.readlink(entry) for entry in (process / "fd").iterdir()}
            if any(f"socket:[{inode}]" in sockets for inode in inodes):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f"pid {process.name} ({command.strip()[:60]})"
        except OSError:
            continue
    return "a process this account may not see"


def _inodes_on(port: int) -> set[str]:
    """Inodes of the sockets bound to a local port: listeners if there are any, else whatever is bound."""
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows += [line.split() for line in Path(table).read_text().splitlines()[1:]]
    bound = [row for row in rows if int(row[1].rpartition(":")[2], 16) == port]
    listening = [row for row in bound if row[3] == _LISTEN]
    return {row[9] for row in listening or bound}
