"""Passwords and keys of one stack: random, made once, valid on the loopback address only."""

from __future__ import annotations

import json
import os
import secrets

from .layout import Stack

_NAMES = (
    "s3_admin",
    "s3_writer",
    "s3_reader",
    "postgres",
    "metadata_owner",
    "metadata_app",
    "iceberg",
    "loader",
    "dbt",
    "reader",
    "meterway_dashboard",
    "aws",
)


def load(stack: Stack) -> dict[str, str]:
    """The stack's secrets by name; letters and digits only, as DynamoDB Local wants them."""
    path = stack.folder / "secrets.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    missing = {name: secrets.token_hex(16) for name in _NAMES if name not in known}
    if missing:
        known |= missing
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(known, file, indent=1)
    return known
