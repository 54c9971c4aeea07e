#!/usr/bin/env bash
# The whole sink (consume, decode, partition, Parquet, S3, commit) on a filled topic, in a release build, with 48 readings
# and with one per message: readings per CPU-second, peak memory, bytes per reading. bench-sink.sh [READINGS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readings=${1:-5000000}

unset METERWAY_PORT_BASE # of another stack, in a shell that sourced its settings
export METERWAY_STACK=bench METERWAY_PORT_BASE=${METERWAY_BENCH_PORT_BASE:-21000} METERWAY_STACK_FRESH=1
trap 'status=$?; deploy/local/stack.sh wipe; exit $status' EXIT

cargo bench -p parquet-sink --bench sink --locked --no-run
deploy/local/stack.sh up
set -a
# shellcheck disable=SC1091
. ".local/stacks/$METERWAY_STACK/stack.env"
set +a
cargo bench -p parquet-sink --bench sink --locked -- "$readings" 48
cargo bench -p parquet-sink --bench sink --locked -- "$((readings * 3 / 5))" 1
