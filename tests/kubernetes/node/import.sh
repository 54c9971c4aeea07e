#!/usr/bin/env bash
# Brings OCI archives into the node: import.sh FILE…
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
node_pid >/dev/null || fail "The node is not up: tests/kubernetes/node/up.sh"
for file in "$@"; do
  nsenter --target "$(cat "$state/pid1")" --mount --net --pid -- ctr -n k8s.io images import "$(realpath "$file")" >/dev/null ||
    fail "$file could not be imported: is it an OCI archive?"
done
