"""The commands for a whole stack: up, down, status, wipe, env, logs."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace

from . import ports
from .components import Component, all_of
from .errors import StackError
from .layout import Stack, recorded_brokers, recorded_oidc, recorded_port_base

_FREE_DISK_BYTES = 2 << 30
_START_LIMIT_S = 120
_STOP_LIMIT_S = 5
_ANSWER_LIMIT_S = 3


def up(stack: Stack, _names: list[str]) -> int:
    """Starts what is not running and waits for a real answer of everything."""
    with _locked(stack):
        if os.environ.get("METERWAY_STACK_FRESH") == "1":
            before = replace(
                stack, brokers=recorded_brokers(stack.name) or stack.brokers, oidc=recorded_oidc(stack.name)
            )
            end(all_of(before))
            _remove(before)
        _check_same_brokers(stack)
        components = all_of(stack)
        missing = [component for component in components if component.daemon.pid() is None]
        if len(missing) < len(components):
            _check_same_ports(stack)
        _check_disk(stack)
        _check_ports(missing)
        write_env(stack)
        failed = _start_all(stack, components)
        if failed:
            raise StackError(f"\nNot up: {', '.join(failed)}. The rest keeps running; `stack.sh down` ends it.")
        print(f"stack {stack.name} is {'up' if missing else 'already up'}; settings in {stack.env_file}")
    return 0


def down(stack: Stack, _names: list[str]) -> int:
    """Ends the processes of the stack, and no others."""
    with _locked(stack):
        started = time.monotonic()
        ended = end(all_of(stack))
        print(f"stack {stack.name}: {ended} processes ended in {time.monotonic() - started:.1f} s; data kept")
    return 0


def wipe(stack: Stack, _names: list[str]) -> int:
    """Ends the processes and deletes everything the stack wrote."""
    with _locked(stack):
        end(all_of(stack))
        _remove(stack)
        print(f"stack {stack.name}: data deleted")
    return 0


def status(stack: Stack, _names: list[str]) -> int:
    """Shows the state of every component; 1 unless all answer."""
    components = all_of(stack)
    with ThreadPoolExecutor(len(components)) as pool:
        states = list(pool.map(_state, components))
    print(f"stack {stack.name}, ports from {stack.port_base}")
    for component, state in zip(components, states, strict=True):
        pid, memory = component.daemon.pid() or "-", component.daemon.resident_mib()
        print(f"  {component.name:<9} {state:<14} pid {pid:<8} {memory:>4} MiB  {component.address}")
    return 0 if all(state == "ready" for state in states) else 1


def env(stack: Stack, _names: list[str]) -> int:
    """Prints the settings programs need."""
    print(_settings(stack, all_of(stack)), end="")
    return 0


def logs(stack: Stack, names: list[str]) -> int:
    """Prints the end of the named logs, or of all."""
    for each in named(stack, names) if names else all_of(stack):
        print(f"==> {each.daemon.log}\n{each.daemon.log_tail(40)}\n")
    return 0


def named(stack: Stack, names: list[str]) -> list[Component]:
    """The components of these names."""
    known = {component.name: component for component in all_of(stack)}
    if unknown := [name for name in names if name not in known]:
        raise StackError(f"{', '.join(unknown)}: no component; there are {', '.join(known)}.")
    return [known[name] for name in names]


def _start_all(stack: Stack, components: list[Component]) -> list[str]:
    """Starts the components side by side; returns the names of those that did not come up."""
    failed = []
    with ThreadPoolExecutor(len(components)) as pool:
        starts = {pool.submit(launch, component): component for component in components}
        for done in as_completed(starts):
            name = starts[done].name
            try:
                print(f"  {name:<9} {done.result()}", flush=True)
            except (StackError, OSError) as error:
                failed.append(name)
                print(f"  {name:<9} FAILED: {error}", file=sys.stderr, flush=True)
    return failed


def launch(component: Component) -> str:
    """Starts a component as `up` does: without waiting where nobody needs it at once."""
    if component.awaited or component.daemon.pid():
        return start(component)
    component.prepare()
    pid = component.daemon.start(component.launch())
    return f"starting, pid {pid}  {component.address}"


def start(component: Component) -> str:
    """Brings one component up; returns what there is to say about it."""
    started = time.monotonic()
    running = component.daemon.pid()
    if running is None:
        component.prepare()
        component.daemon.start(component.launch())
    _await_answer(component)
    component.settle()
    seconds = time.monotonic() - started
    return f"already up, pid {running}" if running else f"ready after {seconds:4.1f} s  {component.address}"


def _await_answer(component: Component) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            return component.ask(_ANSWER_LIMIT_S)
        except Exception as error:  # Every client has its own idea of "not there yet".
            problem = error
        if component.daemon.pid() is None:
            raise StackError(f"ended by itself; the last lines of {component.daemon.log}:\n{_tail(component)}")
        if time.monotonic() > deadline:
            end([component])
            raise StackError(
                f"no good answer within {_START_LIMIT_S} s ({problem}); see {component.daemon.log}:\n{_tail(component)}"
            )
        time.sleep(0.1)


def _tail(component: Component) -> str:
    return "\n".join(f"    {line}" for line in component.daemon.log_tail(15).splitlines())


def end(components: list[Component], limit_s: float = _STOP_LIMIT_S) -> int:
    """Ends the processes that run, politely first; returns how many there were."""
    running = [component for component in components if component.daemon.pid() is not None]
    for component in running:
        component.daemon.signal(component.stop_signal)
        # A paused process would not hear it.
        component.daemon.signal_family(signal.SIGCONT)
    deadline = time.monotonic() + limit_s
    for component in running:
        if not component.daemon.ended_within(deadline - time.monotonic()):
            component.daemon.signal(signal.SIGKILL)
            component.daemon.ended_within(2)
    for component in components:
        component.daemon.forget()
    return len(running)


def _remove(stack: Stack) -> None:
    for component in all_of(stack):
        shutil.rmtree(component.data, ignore_errors=True)
    shutil.rmtree(stack.folder)


def _state(component: Component) -> str:
    if component.daemon.pid() is None:
        return "died" if component.daemon.recorded() else "not running"
    try:
        component.ask(_ANSWER_LIMIT_S)
    except Exception:  # Whatever the client's error is: there was no good answer.
        return "not answering"
    return "ready"


def _settings(stack: Stack, components: list[Component]) -> str:
    settings = {"METERWAY_STACK": stack.name, "METERWAY_PORT_BASE": str(stack.port_base)}
    settings["METERWAY_KAFKA_BROKERS"] = str(stack.brokers)
    for component in components:
        settings |= component.settings()
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def write_env(stack: Stack) -> None:
    """Writes the settings programs need to their file."""
    with open(os.open(stack.env_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(_settings(stack, all_of(stack)))


def _check_disk(stack: Stack) -> None:
    free = shutil.disk_usage(stack.folder).free
    if free < _FREE_DISK_BYTES:
        raise StackError(
            f"Only {free / (1 << 30):.1f} GB are free on the disk of {stack.folder}, and the stack wants 2 GB: "
            "free some space, for example with `stack.sh wipe` of a stack you no longer need."
        )


def _check_same_ports(stack: Stack) -> None:
    running = recorded_port_base(stack.name)
    if running != stack.port_base:
        raise StackError(
            f"Stack {stack.name} runs with ports from {running}: `stack.sh down` before moving it to {stack.port_base}."
        )


def _check_same_brokers(stack: Stack) -> None:
    before = recorded_brokers(stack.name) or stack.brokers
    if before != stack.brokers:
        raise StackError(
            f"Stack {stack.name} was made with {before} Kafka brokers, not {stack.brokers}: `stack.sh wipe` it first."
        )


def _check_ports(components: list[Component]) -> None:
    taken = ports.busy([port for component in components for port in component.ports])
    if not taken:
        return
    lines = "\n".join(f"  {' '.join(map(str, held))}: {holder}" for holder, held in taken.items())
    raise StackError(
        f"These ports are in use:\n{lines}\nEnd those processes, or set METERWAY_PORT_BASE to another range."
    )


@contextmanager
def _locked(stack: Stack) -> Iterator[None]:
    """One command at a time per stack. The lock lies beside the folder, which `wipe` deletes."""
    stack.folder.mkdir(parents=True, exist_ok=True)
    with open(stack.folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
