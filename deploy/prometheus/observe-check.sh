#!/usr/bin/env bash
# Checks rules, cases, runbooks and boards: observe-check.sh. Needs no running service.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$here/../../.local/venv/bin/python
[[ -x $python ]] || { echo "The local tools are not installed yet: run deploy/local/setup.sh first." >&2; exit 2; }
programs=$("$here/install.sh")
export PYTHONDONTWRITEBYTECODE=1
"$python" "$here/../grafana/boards.py" --check
"$python" "$here/observe.py" "$programs/promtool"
