"""Command line of the local stack."""

from __future__ import annotations

import argparse
import os
import sys

from . import commands, layout, single
from .errors import StackError

_COMMANDS = {
    "up": (commands.up, "start what is not running and wait until everything answers"),
    "down": (commands.down, "end the processes, keep the data"),
    "status": (commands.status, "ask every component; fails unless all answer"),
    "wipe": (commands.wipe, "end the processes and delete the data"),
    "env": (commands.env, "print the addresses and keys as KEY=value"),
    "logs": (commands.logs, "print the end of the logs, or of the named ones"),
    "start": (single.start_some, "start the named components and wait until they answer"),
    "stop": (single.stop, "end the named components, politely first"),
    "restart": (single.restart, "end and start the named components, one after the other"),
    "kill": (single.kill, "end the named components with SIGKILL"),
    "pause": (single.pause, "freeze the named components"),
    "resume": (single.resume, "let frozen components go on"),
    "fill": (single.fill, "have every write to a file of the named components fail"),
    "free": (single.free, "take fill back"),
}


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return _COMMANDS[arguments.command][0](layout.from_environment(), arguments.components)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `stack.sh down` ends what was started", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `stack.sh logs | head`: whoever read the output has seen enough, and the last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stack.sh",
        description="METERWAY_STACK names the stack (demo, dev, test or your own), METERWAY_PORT_BASE its ports, "
        "METERWAY_KAFKA_BROKERS the number of its brokers (1 or 3).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:<8}{text}" for name, (_, text) in _COMMANDS.items()),
    )
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("components", nargs="*", help="names of components, for logs and the commands below it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
