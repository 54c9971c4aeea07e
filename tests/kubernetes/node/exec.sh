#!/usr/bin/env bash
# Runs a command in the node's network, as its administrator: exec.sh kubectl get pods
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
pid=$(node_pid) || fail "The node is not up: tests/kubernetes/node/up.sh"
inner=$(cat "$state/pid1")
KUBECONFIG=$state/pki/admin.kubeconfig PATH=$state/bin:$PATH exec nsenter --target "$inner" --net -- "$@"
