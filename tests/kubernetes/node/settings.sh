# Where the node is and what it is called; sourced by the scripts beside it.
# shellcheck shell=bash disable=SC2034
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
# All state of the node. Nothing of it is outside, but control groups and, while it runs, its processes.
state=$root/.local/kubernetes
# Programs that take minutes to build outlive the checkout where there is a cache folder.
cache=${METERWAY_CACHE:-$HOME/.cache/meterway}
[[ -d $cache ]] && bin=$cache/kubernetes || bin=$root/.local/kubernetes-bin
node=meterway-node
# A network of its own, with no way out: the addresses cannot clash with anything.
address=10.89.0.1
cgroup=meterway-node

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# The process that is pid 1 of the node's namespaces, as long as it is ours: pids are used again.
node_pid() {
  local pid
  pid=$(cat "$state/pid" 2>/dev/null) || return 1
  grep -qa "node/inner.sh" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}
