#!/usr/bin/env bash
# The specs in a real Chromium against a whole installation: real components, every service, a small fleet of real meter series,
# the light identity server (METERWAY_OIDC=keycloak for the real one). real.sh <folder of the binaries> [program beside this one]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
bin=$1

unset METERWAY_PORT_BASE METERWAY_KAFKA_BROKERS # of another stack, in a shell that sourced its settings
export METERWAY_STACK=web METERWAY_PORT_BASE=${METERWAY_WEB_PORT_BASE:-19000} METERWAY_STACK_FRESH=1
export METERWAY_OIDC=${METERWAY_OIDC:-mock}
trap 'status=$?; deploy/local/stack.sh down; exit $status' EXIT

METERWAY_CHROMIUM=$(deploy/local/install-chromium.sh)
export METERWAY_CHROMIUM
deploy/local/install-oidc.sh "$METERWAY_OIDC"
deploy/local/stack.sh up
"$bin/meterway" demo --bin "$bin" --stack-env ".local/stacks/$METERWAY_STACK/stack.env" --state .local/web-test \
  --demo-env .local/web-test/demo.env --devices 150 --days 35 --check --then "$here/${2:-everything.sh}"
