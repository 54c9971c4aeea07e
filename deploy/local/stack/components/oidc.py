"""What both identity servers have in common: the realm's users, and the settings that programs need."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path

from ..layout import CONFIG
from .base import Component, http

REALM_FILES = CONFIG / "oidc"
USERS = REALM_FILES / "meterway-users-0.json"
_HTTP, _DASHBOARD = 90, 109


class Oidc(Component):
    """An OpenID Connect server with the dashboard's client, and users for every role and tenant of the demo."""

    # What METERWAY_OIDC calls it.
    choice: str

    @property
    def port(self) -> int:
        return self.stack.port(_HTTP)

    @property
    def ports(self) -> list[int]:
        return [self.port]

    @property
    def dashboard_port(self) -> int:
        """Where the dashboard will be: sign-ins lead back there and nowhere else."""
        return self.stack.port(_DASHBOARD)

    @property
    @abstractmethod
    def keys(self) -> str:
        """The address of its public keys."""

    @property
    def _demo_users(self) -> Path:
        return self.data / "demo-users.json"

    def prepare(self) -> None:
        super().prepare()
        users = json.loads(USERS.read_text())["users"]
        self._demo_users.write_text(json.dumps([_shown(user) for user in users], indent=1) + "\n")

    def ask(self, timeout: float) -> None:
        found = json.loads(http("GET", f"{self.address}/.well-known/openid-configuration", timeout=timeout))
        if found["issuer"] != self.address:
            raise OSError(f"it calls itself {found['issuer']}")

    def settings(self) -> dict[str, str]:
        return {
            "METERWAY_OIDC": self.choice,
            "METERWAY_DASHBOARD_URL": self.stack.url(_DASHBOARD),
            "OIDC_ISSUER": self.address,
            "OIDC_JWKS_URL": self.keys,
            "OIDC_AUDIENCE": "meterway",
            "OIDC_CLIENT_ID": "meterway-web",
            "OIDC_DEMO_USERS": str(self._demo_users),
        }


def _shown(user: dict) -> dict[str, str]:
    """A user as a demo's sign-in page lists it."""
    attributes = {name: values[0] for name, values in user["attributes"].items()}
    return {
        "username": user["username"],
        "password": user["credentials"][0]["value"],
        "role": attributes["meterway_role"],
        "label": f"{user['firstName']} {user['lastName']}",
    }
