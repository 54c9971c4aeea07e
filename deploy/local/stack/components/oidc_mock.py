"""The light identity server of the tests: oauth2-mock-server with a sign-in page."""

from __future__ import annotations

from ..layout import HOST
from ..process import Launch
from .oidc import USERS, Oidc


class OidcMock(Oidc):
    name = "oidc-mock"
    choice = "mock"

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def keys(self) -> str:
        return f"{self.address}/jwks"

    def launch(self) -> Launch:
        return Launch(["node", "server.mjs", str(self.port), str(USERS)], self.lib)
