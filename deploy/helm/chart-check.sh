#!/usr/bin/env bash
# Checks the chart: chart-check.sh [--update]. Installs what that needs on the first run (5 s), outside the checkout when
# there is a cache folder. Needs no cluster.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local
cache=${METERWAY_CACHE:-$HOME/.cache/meterway}
[[ -d $cache ]] && home=$cache
python=$(command -v python3) || { echo "python3 is missing: install Python 3.11 or newer." >&2; exit 1; }
wanted=$({ "$python" --version; cat "$here/check/requirements.txt"; } | sha256sum | cut -c1-12)
venv=$home/chart-check/$wanted
log=$home/chart-check/setup.log

install() {
  # Built beside its place and moved there in one step would break the paths in it: the stamp says that it is whole.
  rm -rf "$venv"
  "$python" -m venv "$venv" || return
  { "$venv/bin/python" -m pip install -q --disable-pip-version-check uv==0.13.9 &&
    "$venv/bin/python" -m uv pip install -q --python "$venv/bin/python" --no-deps -r "$here/check/requirements.txt"; } ||
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$here/check/requirements.txt" || return
  # The package holds its library of 85 MB three times, under three names.
  local lib
  lib=$(echo "$venv"/lib/python3*/site-packages/helm_python/lib)
  for copy in "$lib"/libhelm_c.so.*; do
    cmp -s "$copy" "$lib/libhelm_c.so" && ln -sf libhelm_c.so "$copy"
  done
  touch "$venv/whole"
}

mkdir -p "$home/chart-check"
exec 8>"$home/chart-check/lock"
flock 8
if [[ ! -e $venv/whole ]]; then
  echo "installing what the checks of the chart need into $venv (200 MB, a few seconds)"
  install >"$log" 2>&1 || {
    tail -n 12 "$log" >&2
    echo "That could not be installed (whole log: $log). Check that the machine reaches PyPI, then run this again." >&2
    exit 1
  }
fi
exec 8>&-
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" "$here/check" "$@"
