#!/usr/bin/env bash
# The planted bugs, on a stack of their own that is started before and ended after: planted.sh [ARGUMENTS OF planted.py]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

port_base=${METERWAY_PLANTED_PORT_BASE:-28000}
unset METERWAY_PORT_BASE # of another stack, in a shell that sourced its settings
export METERWAY_STACK=planted METERWAY_PORT_BASE=$port_base METERWAY_STACK_FRESH=1
trap 'status=$?; deploy/local/stack.sh wipe; exit $status' EXIT

deploy/local/stack.sh up
set -a
# shellcheck disable=SC1091
. ".local/stacks/$METERWAY_STACK/stack.env"
set +a
.local/venv/bin/python tests/torture/planted.py "$@"
