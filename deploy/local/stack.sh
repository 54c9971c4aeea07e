#!/usr/bin/env bash
# Starts, probes and ends the local components: stack.sh up|down|status|wipe|env|logs (README.md beside this file).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local

if [[ ! -x $home/venv/bin/python || ! -f $home/installed ]]; then
  echo "The local components are not installed yet: run $here/setup.sh first." >&2
  exit 2
fi

export PATH="$home/node/bin:$PATH"
export PYTHONPATH="$here" PYTHONPYCACHEPREFIX="$home/pycache"
exec "$home/venv/bin/python" -m stack "$@"
