#!/usr/bin/env bash
# Checks rules, cases, runbooks and boards: observe-check.sh. Fetches Debian's promtool where there is none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local
python=$home/venv/bin/python
[[ -x $python ]] || { echo "The local tools are not installed yet: run deploy/local/setup.sh first." >&2; exit 2; }

promtool=$(command -v promtool || true)
if [[ -z $promtool ]]; then
  promtool=$home/prometheus/usr/bin/promtool
  if [[ ! -x $promtool ]]; then
    echo "fetching Debian's prometheus for its promtool (20 MB)"
    mkdir -p "$home/setup-logs"
    log=$home/setup-logs/prometheus.log
    fetch=$(mktemp -d)
    trap 'rm -rf "$fetch"' EXIT
    # Without package lists (a slim container) root can make them; others are told.
    (cd "$fetch" && { apt-get download prometheus || { ((EUID == 0)) && apt-get update && apt-get download prometheus; }; }) >"$log" 2>&1 &&
      dpkg-deb -x "$fetch"/prometheus_*.deb "$home/prometheus" || {
      tail -n 5 "$log" >&2
      echo "promtool is missing and could not be fetched: install Debian's package prometheus, or put promtool into the PATH." >&2
      exit 1
    }
  fi
fi
export PYTHONDONTWRITEBYTECODE=1
"$python" "$here/../grafana/boards.py" --check
"$python" "$here/observe.py" "$promtool"
