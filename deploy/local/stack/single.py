"""The commands for single components: what a test does to them, and what mends it."""

from __future__ import annotations

import fcntl
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .commands import end, named, start, write_env
from .components import Component
from .errors import StackError
from .layout import Stack
from .process import as_account


# A broker hands its partitions over before it ends.
_STOP_LIMIT_S = 30


def start_some(stack: Stack, names: list[str]) -> int:
    """Starts components and waits for a real answer of each; `up` need not have been before."""
    stack.folder.mkdir(parents=True, exist_ok=True)
    if not stack.env_file.exists():
        write_env(stack)
    return _side_by_side(stack, names, start)


def stop(stack: Stack, names: list[str]) -> int:
    """Ends components, politely first."""
    return _side_by_side(stack, names, _stop)


def restart(stack: Stack, names: list[str]) -> int:
    """Ends components and starts them again, one after the other: with the names of all brokers, a rolling restart."""
    for component in _chosen(stack, names):
        with _locked(component):
            _say(component, _stop(component))
            _say(component, start(component))
    return 0


def kill(stack: Stack, names: list[str]) -> int:
    """Ends components with SIGKILL."""
    return _signal(stack, names, signal.SIGKILL, "killed")


def pause(stack: Stack, names: list[str]) -> int:
    """Freezes components with SIGSTOP: their connections stay, their answers do not come."""
    return _signal(stack, names, signal.SIGSTOP, "paused")


def resume(stack: Stack, names: list[str]) -> int:
    """Lets frozen components go on."""
    return _signal(stack, names, signal.SIGCONT, "goes on")


def fill(stack: Stack, names: list[str]) -> int:
    """Has every write to a file fail, as if there were no room."""
    return _limit_files(stack, names, "0", "cannot write files")


def free(stack: Stack, names: list[str]) -> int:
    """Takes `fill` back."""
    return _limit_files(stack, names, "unlimited", "can write files")


def _chosen(stack: Stack, names: list[str]) -> list[Component]:
    if not names:
        raise StackError("Name the components, for example `kafka-2` or `s3`; `stack.sh status` lists them.")
    return named(stack, names)


def _side_by_side(stack: Stack, names: list[str], work: Callable[[Component], str]) -> int:
    components = _chosen(stack, names)

    def locked(component: Component) -> str:
        with _locked(component):
            return work(component)

    with ThreadPoolExecutor(len(components)) as pool:
        for component, said in zip(components, pool.map(locked, components), strict=True):
            _say(component, said)
    return 0


def _stop(component: Component) -> str:
    return "ended" if end([component], _STOP_LIMIT_S) else "was not running"


def _signal(stack: Stack, names: list[str], number: signal.Signals, said: str) -> int:
    for component in _chosen(stack, names):
        pid = _pid(component)
        component.daemon.signal_family(number)
        if number == signal.SIGKILL and not component.daemon.ended_within(10):
            raise StackError(f"{component.name}: process {pid} did not end.")
        _say(component, f"{said}, pid {pid}")
    return 0


def _limit_files(stack: Stack, names: list[str], size: str, said: str) -> int:
    for component in _chosen(stack, names):
        _pid(component)
        # Even root may limit only processes of its own account where it runs without all of its rights.
        account = as_account(component.launch().account)
        for pid in component.daemon.family():
            command = ["prlimit", f"--pid={pid}", f"--fsize={size}:"]
            done = subprocess.run(command, capture_output=True, text=True, **account)
            if done.returncode and Path(f"/proc/{pid}").exists():
                raise StackError(f"{component.name}: {done.stderr.strip()}")
        _say(component, said)
    return 0


def _pid(component: Component) -> int:
    if pid := component.daemon.pid():
        return pid
    raise StackError(f"{component.name} is not running.")


def _say(component: Component, text: str) -> None:
    print(f"  {component.name:<9} {text}", flush=True)


@contextmanager
def _locked(component: Component) -> Iterator[None]:
    """One command that starts or ends it at a time; other components are free."""
    component.stack.folder.mkdir(parents=True, exist_ok=True)
    with open(component.stack.folder / f"{component.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
