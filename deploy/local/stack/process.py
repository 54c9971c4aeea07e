"""Processes that outlive the command which started them, known by pid file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Launch:
    """How to start one process."""

    command: list[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    # The account to run as when this command runs as root; None keeps the caller's.
    account: str | None = None


@dataclass(frozen=True)
class Daemon:
    """A process in the background. The pid file holds its pid and its start time, because pids are used again."""

    pid_file: Path
    log: Path

    def start(self, launch: Launch) -> int:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env={**os.environ, **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_account(launch.account),
            )
        self.pid_file.write_text(f"{process.pid}\n{_start_time(process.pid)}\n")
        return process.pid

    def recorded(self) -> bool:
        """True when this daemon was started and not ended by `stop`, alive or not."""
        return self.pid_file.exists()

    def pid(self) -> int | None:
        """The pid of the running process, or None."""
        try:
            pid, started = (int(line) for line in self.pid_file.read_text().split())
        except (FileNotFoundError, ValueError):
            return None
        return pid if started and _start_time(pid) == started else None

    def signal(self, number: signal.Signals) -> None:
        if pid := self.pid():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def signal_family(self, number: signal.Signals) -> None:
        """Signals the process and all that descend from it."""
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def family(self) -> list[int]:
        """The running process and all that descend from it."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                parent = int(entry.read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.parent.name))
        family = [pid] if (pid := self.pid()) else []
        for member in family:
            family += children.get(member, [])
        return family

    def ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def forget(self) -> None:
        self.pid_file.unlink(missing_ok=True)

    def log_tail(self, lines: int) -> str:
        """The end of the log, from its last 64 KiB."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 65536))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def resident_mib(self) -> int:
        """Memory in use, MiB; 0 when the process is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid()}/statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE") // (1 << 20)


def as_account(account: str | None) -> dict[str, object]:
    """`subprocess` arguments that give up root for `account`."""
    return {"user": account, "group": account, "extra_groups": []} if account else {}


def _start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot; 0 when there is none, or only its zombie."""
    try:
        # The second field is the command in parentheses and may itself hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
