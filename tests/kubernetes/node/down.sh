#!/usr/bin/env bash
# Ends the node and removes its control groups; with --wipe its state too. Its processes die with their namespace.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
if pid=$(node_pid); then
  kill -TERM "$(cat "$state/pid1")" 2>/dev/null || true
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
  sleep 0.3
fi
rm -f "$state/pid" "$state/pid1"
for folder in /sys/fs/cgroup/*/"$cgroup"; do
  [[ -d $folder ]] && find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
if [[ ${1:-} == --wipe ]]; then rm -rf "$state"; fi
