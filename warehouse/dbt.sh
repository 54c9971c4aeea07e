#!/bin/sh
# Runs dbt on this project. The warehouse comes from WAREHOUSE_DBT_URL (postgresql://user:password@host:port/database),
# or from DBT_HOST, DBT_PORT, DBT_USER, DBT_ENV_SECRET_PASSWORD and DBT_DBNAME when it is not set.
#
#   ./dbt.sh build          models, data tests and unit tests
#   ./dbt.sh refresh        models and the tests that don't read whole facts: what the loader runs after a load
#   ./dbt.sh docs generate --static
set -eu
project=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
programs=${METERWAY_VENV:-$project/../.local/venv}/bin
if [ ! -x "$programs/dbt" ]; then
    echo "dbt is not in $programs: run deploy/local/setup.sh, or name its environment in METERWAY_VENV." >&2
    exit 2
fi

if [ -n "${WAREHOUSE_DBT_URL:-}" ]; then
    settings=$("$programs/python" -c '
import os, shlex
from urllib.parse import unquote, urlsplit
url = urlsplit(os.environ["WAREHOUSE_DBT_URL"])
pieces = {
    "DBT_HOST": url.hostname or "127.0.0.1",
    "DBT_PORT": str(url.port or 5432),
    "DBT_USER": unquote(url.username or ""),
    "DBT_ENV_SECRET_PASSWORD": unquote(url.password or ""),
    "DBT_DBNAME": unquote(url.path.lstrip("/")),
}
print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in pieces.items()))
')
    eval "$settings"
fi

if [ "${1:-}" = refresh ]; then
    shift
    set -- --quiet build --exclude tag:full_scan --exclude-resource-type unit_test "$@"
fi
cd "$project"
exec "$programs/dbt" "$@" --project-dir "$project" --profiles-dir "$project"
