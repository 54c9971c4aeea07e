"""Signs in to the stack's identity server as every demo user, and tries what must not work.

  check_oidc.py <stack.env>
"""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import sign_in

EXPECTED = {
    "operator": ("operator", None, None),
    "northgrid-admin": ("tenant_admin", "northgrid", None),
    "northgrid-customer": ("customer", "northgrid", "northgrid-c-00001"),
    "lakeside-analyst": ("analyst", "lakeside", None),
    "lakeside-customer": ("customer", "lakeside", "lakeside-c-00001"),
}


def main() -> int:
    env = sign_in.settings(Path(sys.argv[1]))
    users = {user["username"]: user for user in json.loads(Path(env["OIDC_DEMO_USERS"]).read_text())}
    problems = [problem for user in users.values() for problem in tokens_of(env, user)]
    problems += [f"{name} is no demo user" for name in EXPECTED if name not in users]
    problems += refused("a wrong password", lambda: sign_in.client_of(env).sign_in("operator", "wrong"))
    problems += refused("a password grant", lambda: password_grant(env))
    problems += refused("a foreign address", lambda: elsewhere(env).sign_in("operator", "demo"))
    problems += [f"{key} is not at {env['OIDC_JWKS_URL']}" for key in ("kid", "n") if key not in first_key(env)]
    print("\n".join(problems) or f"{len(users)} users sign in with the right claims; what must be refused is refused")
    return 1 if problems else 0


def tokens_of(env: dict[str, str], user: dict) -> list[str]:
    name, client = user["username"], sign_in.client_of(env)
    tokens = client.sign_in(name, user["password"])
    fresh = client.refresh(tokens["refresh_token"])
    said = sign_in.claims(fresh["access_token"])
    problems = refused("a refresh token used twice", lambda: client.refresh(tokens["refresh_token"]))
    claims = tuple(said.get(f"meterway_{claim}") for claim in ("role", "tenant", "customer"))
    if claims != EXPECTED.get(name, claims) or claims[0] != user["role"]:
        problems.append(f"{name} has the claims {claims}")
    if (said["iss"], said["aud"]) != (env["OIDC_ISSUER"], env["OIDC_AUDIENCE"]):
        problems.append(f"{name} has a token of {said['iss']} for {said['aud']}")
    if not 0 < said["exp"] - said["iat"] <= 600:
        problems.append(f"{name} has a token for {said['exp'] - said['iat']} s")
    return problems


def refused(what: str, attempt) -> list[str]:
    try:
        attempt()
    except (sign_in.SignInError, OSError):
        return []
    return [f"{what} is accepted"]


def password_grant(env: dict[str, str]) -> None:
    config = json.loads(urllib.request.urlopen(f"{env['OIDC_ISSUER']}/.well-known/openid-configuration").read())
    form = {"grant_type": "password", "client_id": env["OIDC_CLIENT_ID"], "username": "operator", "password": "demo"}
    urllib.request.urlopen(config["token_endpoint"], urllib.parse.urlencode(form).encode())


def elsewhere(env: dict[str, str]) -> sign_in.Client:
    return sign_in.Client(env["OIDC_ISSUER"], env["OIDC_CLIENT_ID"], "http://198.51.100.1/auth/callback")


def first_key(env: dict[str, str]) -> dict:
    return json.loads(urllib.request.urlopen(env["OIDC_JWKS_URL"]).read())["keys"][0]


if __name__ == "__main__":
    sys.exit(main())
