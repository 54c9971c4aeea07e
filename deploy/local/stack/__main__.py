"""Command line of the local stack."""

from __future__ import annotations

import argparse
import sys

from . import commands, layout
from .errors import StackError

_COMMANDS = {
    "up": (commands.up, "start what is not running and wait until everything answers"),
    "down": (commands.down, "end the processes, keep the data"),
    "status": (commands.status, "ask every component; fails unless all answer"),
    "wipe": (commands.wipe, "end the processes and delete the data"),
    "env": (commands.env, "print the addresses and keys as KEY=value"),
    "logs": (commands.logs, "print the end of the logs"),
}


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return _COMMANDS[arguments.command][0](layout.from_environment(), arguments.component)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `stack.sh down` ends what was started", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stack.sh",
        description="The stack is chosen by METERWAY_STACK (demo, dev, test or your own), its ports by METERWAY_PORT_BASE.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:<8}{text}" for name, (_, text) in _COMMANDS.items()),
    )
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("component", nargs="?", help="only for logs: the one component to show")
    return parser


if __name__ == "__main__":
    sys.exit(main())
