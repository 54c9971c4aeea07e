#!/usr/bin/env bash
# Prints the folder of prometheus and promtool; unpacks Debian's package into .local where there are none. Nothing is started.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local
folder=$home/prometheus/usr/bin

if command -v prometheus >/dev/null && found=$(command -v promtool); then
  dirname "$found"
  exit 0
fi
if [[ ! -x $folder/promtool ]]; then
  echo "fetching Debian's prometheus (20 MB)" >&2
  mkdir -p "$home/setup-logs"
  log=$home/setup-logs/prometheus.log
  fetch=$(mktemp -d)
  trap 'rm -rf "$fetch"' EXIT
  # Without package lists (a slim container) root can make them; others are told.
  download() { (cd "$fetch" && apt-get download prometheus); }
  { { download || { ((EUID == 0)) && apt-get update && download; }; } && dpkg-deb -x "$fetch"/prometheus_*.deb "$home/prometheus"; } >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    echo "Prometheus is missing and could not be fetched: install Debian's package prometheus, or put prometheus and promtool into the PATH." >&2
    exit 1
  }
fi
echo "$folder"
