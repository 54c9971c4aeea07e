#!/usr/bin/env bash
# Installs the identity server that METERWAY_OIDC names into .local/lib: install-oidc.sh keycloak|mock
# Safe to repeat. Keycloak (160 MB) is prepared once, half a minute on two free cores, so that each later start is short: its
# program is built for our options, its database is made, and the classes of a start are archived for the JVM.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local
logs=$home/setup-logs
which=${1:-}

export PATH=$home/node/bin:$PATH

fail() { printf '%s\n' "$*" >&2; exit 1; }

stamp() { { printf '%s\n' "$home" && cat "$here/install-oidc.sh" "$@"; } | sha256sum; }

install_mock() {
  local fresh=$home/lib/oidc-mock.new
  rm -rf "$fresh" && mkdir -p "$fresh" && cp "$here"/oidc-mock/* "$fresh" &&
    (cd "$fresh" && npm ci --silent --no-audit --no-fund --ignore-scripts) &&
    rm -rf "$home/lib/oidc-mock" && mv "$fresh" "$home/lib/oidc-mock"
}

install_keycloak() {
  local fresh=$home/lib.keycloak
  rm -rf "$fresh" "$home/lib/keycloak" &&
    mvn -q -B -f "$here/java/pom.xml" -P keycloak -pl keycloak package -Dlib.dir="$fresh" &&
    mkdir -p "$home/lib/keycloak" &&
    tar -xzf "$fresh/keycloak/keycloak.tar.gz" -C "$home/lib/keycloak" --strip-components 1 --no-same-owner &&
    rm -rf "$fresh" &&
    "$home/lib/keycloak/bin/kc.sh" build --db=dev-file --health-enabled=false --metrics-enabled=false &&
    PYTHONPATH="$here" PYTHONPYCACHEPREFIX="$home/pycache" "$home/venv/bin/python" -m stack.prepare_keycloak
}

case $which in
  mock) inputs=("$here"/oidc-mock/*) ;;
  keycloak) inputs=("$here"/java/pom.xml "$here"/java/keycloak/pom.xml "$here"/stack/prepare_keycloak.py "$here"/stack/components/keycloak.py) ;;
  *) fail "usage: install-oidc.sh keycloak|mock" ;;
esac
wanted=$(stamp "${inputs[@]}")
folder=$home/lib/$([[ $which == mock ]] && echo oidc-mock || echo keycloak)
[[ -f $folder/installed && $(<"$folder/installed") == "$wanted" ]] && exit 0
[[ -x $home/venv/bin/python ]] || fail "The local components are not installed yet: run $here/setup.sh first."
mkdir -p "$logs"
echo "installing the identity server ($which) into $folder"
if ! "install_$which" >"$logs/oidc-$which.log" 2>&1; then
  tail -n 12 "$logs/oidc-$which.log" >&2
  fail "It could not be installed (whole log: $logs/oidc-$which.log): check that the machine reaches Maven Central and the npm registry, then run this again."
fi
printf '%s\n' "$wanted" >"$folder/installed"
echo "  done in ${SECONDS} s"
