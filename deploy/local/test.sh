#!/usr/bin/env bash
# All tests, on a stack of their own that is started before and ended after: test.sh <folder of the binaries>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=$1
step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

unset METERWAY_PORT_BASE METERWAY_KAFKA_BROKERS # of another stack, in a shell that sourced its settings
export METERWAY_STACK=test METERWAY_STACK_FRESH=1
# Whatever happens, nothing is left running.
trap 'status=$?; step "stopping the test stack"; deploy/local/stack.sh down; exit $status' EXIT

deploy/local/lint.sh
step "build"
cargo build --workspace --bins --locked
cargo test --workspace --locked --no-run
step "test stack"
deploy/local/stack.sh up
set -a
# shellcheck disable=SC1091
. ".local/stacks/$METERWAY_STACK/stack.env"
set +a
export METERWAY_BIN=$bin
step "the chart"
deploy/helm/chart-check.sh
step "alerts and boards"
deploy/prometheus/observe-check.sh
step "the AWS side and the contracts"
make --no-print-directory terraform-check contracts-check
# Always the whole workspace, with targets picked by name: another choice of packages would be another choice of features,
# and half of the dependencies would be compiled again.
step "unit tests and the architecture"
cargo test --workspace --locked --lib --test architecture
step "component tests"
cargo test --workspace --locked --test it
step "the verifier"
(cd tests/torture && PYTHONDONTWRITEBYTECODE=1 ../../.local/venv/bin/python -m unittest discover -s verifier -t .)
step "dbt"
.local/venv/bin/python warehouse/check/run.py --devices 5
step "system tests"
cargo test --workspace --locked --test system
step "the front end"
make --no-print-directory web-check
step "the front end against a whole installation"
web/e2e/real.sh "$bin"
step "replay and backfill"
# Ten years (without the variable) take some minutes: docs/reliability.md.
METERWAY_BACKFILL_DAYS=600 cargo test --workspace --locked --test replay -- --test-threads 1
step "planted bugs"
.local/venv/bin/python tests/torture/planted.py --slice
step "local stack"
METERWAY_STACK=selftest deploy/local/selftest.sh
step "all tests passed"
