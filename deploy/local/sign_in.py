#!/usr/bin/env python3
"""Signs in as a browser would (authorization code with PKCE, no browser needed) and prints the access token.

  sign_in.py northgrid-admin                      on the demo's stack, with the demo user's password
  curl -H "Authorization: Bearer $(deploy/local/sign_in.py operator)" http://127.0.0.1:29109/v1/me
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import json
import os
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO_ENV = HERE.parents[1] / ".local" / "stacks" / "demo" / "stack.env"
TIMEOUT_S = 30


class SignInError(Exception):
    """The server did not do what the protocol says; the message tells at which step."""


class _StopAtApp(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the identity server, and stops at the one that leads back to the app."""

    def __init__(self, redirect_uri: str) -> None:
        self.redirect_uri = redirect_uri

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if newurl.startswith(self.redirect_uri):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Client:
    """The public client of the dashboard."""

    def __init__(self, issuer: str, client_id: str, redirect_uri: str) -> None:
        self.client_id, self.redirect_uri = client_id, redirect_uri
        # Like browsers, on the loopback address: cookies for "secure" places are sent over plain HTTP.
        cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self._web = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(cookies), _StopAtApp(redirect_uri)
        )
        self._server = json.loads(self._open(f"{issuer}/.well-known/openid-configuration")[1])

    def sign_in(self, username: str, password: str) -> dict:
        """The tokens of one sign-in."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid profile",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = f"{self._server['authorization_endpoint']}?{urllib.parse.urlencode(query)}"
        shown, page = self._open(address)
        form = re.search(r'<form[^>]*\bid="kc-form-login"[^>]*>', page)
        if not form:
            raise SignInError(f"{shown} shows no sign-in form")
        action = re.search(r'\baction="([^"]+)"', form[0])
        target = urllib.parse.urljoin(shown, html.unescape(action[1])) if action else shown
        back, _ = self._open(target, {"username": username, "password": password, "credentialId": ""})
        if not back.startswith(self.redirect_uri):
            raise SignInError(f"{username} is not let in")
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))
        if answer.get("state") != state or "code" not in answer:
            raise SignInError(f"no code for {username}: {answer.get('error_description') or answer}")
        return self._tokens({"grant_type": "authorization_code", "code": answer["code"], "code_verifier": verifier})

    def refresh(self, refresh_token: str) -> dict:
        """New tokens for a refresh token."""
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def _tokens(self, fields: dict[str, str]) -> dict:
        fields |= {"client_id": self.client_id, "redirect_uri": self.redirect_uri}
        return json.loads(self._open(self._server["token_endpoint"], fields)[1])

    def _open(self, url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """The address where it ended, the app's included, and what is there."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            with self._web.open(url, data, TIMEOUT_S) as response:
                return response.geturl(), response.read().decode()
        except urllib.error.HTTPError as error:
            location = error.headers.get("Location", "")
            if error.code in (302, 303) and location.startswith(self.redirect_uri):
                return location, ""
            raise SignInError(f"{url.partition('?')[0]} answers {error.code}: {error.read().decode()[:300]}") from error


def claims(token: str) -> dict:
    """What a token says; its signature is not checked."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def settings(path: Path) -> dict[str, str]:
    """The settings of a stack, those of the environment above them."""
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if not line.startswith("#")) | dict(os.environ)


def client_of(env: dict[str, str]) -> Client:
    """The client of a stack."""
    if "OIDC_ISSUER" not in env:
        raise SignInError("OIDC_ISSUER is not set: start the stack with METERWAY_OIDC=keycloak or mock")
    return Client(env["OIDC_ISSUER"], env["OIDC_CLIENT_ID"], f"{env['METERWAY_DASHBOARD_URL']}/auth/callback")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("username")
    parser.add_argument("--env-file", type=Path, default=DEMO_ENV, help="settings of the stack (default: the demo's)")
    arguments = parser.parse_args()
    try:
        env = settings(arguments.env_file)
        client = client_of(env)
        users = {user["username"]: user["password"] for user in json.loads(Path(env["OIDC_DEMO_USERS"]).read_text())}
        if arguments.username not in users:
            raise SignInError(f"{arguments.username}: no demo user; there are {', '.join(users)}")
        print(client.sign_in(arguments.username, users[arguments.username])["access_token"])
    except (SignInError, OSError) as error:
        print(f"sign-in failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
