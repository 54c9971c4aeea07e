#!/usr/bin/env bash
# Runs the recipes that can run here against the installation whose settings are in the environment: run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python=${METERWAY_PYTHON:-../../.local/venv/bin/python}
: "${WAREHOUSE_READER_URL:?is not set: set -a; . .local/demo.env; set +a}"
# recipe <what> <least lines> <command…>: it must print that many.
recipe() {
  local what=$1 least=$2 lines
  shift 2
  lines=$("$@")
  printf '\n%s\n%s\n' "$what" "$lines"
  (($(grep -c . <<<"$lines") >= least)) || { echo "$what printed too little" >&2; exit 1; }
}
recipe "decisions, in Python" 10 "$python" consume.py 10
recipe "the lake, in DuckDB" 5 "$python" lake_duckdb.py
recipe "the lake, in pyiceberg" 1 "$python" lake_pyiceberg.py
recipe "consumption by local day" 5 psql -X -q --csv "$WAREHOUSE_READER_URL" -f warehouse.sql
