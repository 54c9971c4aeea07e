#!/usr/bin/env bash
# The demo around its components: demo.sh <folder of the binaries> [--check]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=$1
shift

unset METERWAY_PORT_BASE METERWAY_KAFKA_BROKERS # of another stack, in a shell that sourced its settings
export METERWAY_STACK=demo METERWAY_OIDC=keycloak
# Every run begins empty, so that its counts are its own.
export METERWAY_STACK_FRESH=1
rm -rf .local/demo

# Whatever happens, nothing is left running. The demo itself ends its services on Ctrl-C; the stack must outlive them.
finish() {
  local status=$? file pid
  trap "" INT
  for file in .local/demo/logs/*.pid; do
    [[ -f $file ]] || continue
    pid=$(<"$file")
    # Only a process that still is the service of that name: pids are used again.
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$(basename "$file" .pid | cut -c1-15)" ]]; then kill -TERM "$pid"; fi
  done
  deploy/local/stack.sh down
  exit "$status"
}
trap finish EXIT
trap : INT

deploy/local/install-oidc.sh keycloak
deploy/local/stack.sh up
"$bin/meterway" demo --bin "$bin" --stack-env .local/stacks/demo/stack.env "$@"
