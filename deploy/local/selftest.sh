#!/usr/bin/env bash
# Proves the local stack on this machine: up, a write and a read of every component, a killed component is noticed
# and comes back with its data, three brokers lose nothing, and nothing is left running. Uses stacks of its own, one after
# the other; one to two minutes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/.local
export METERWAY_STACK=selftest METERWAY_PORT_BASE=${METERWAY_SELFTEST_PORT_BASE:-23000}
# The second `up` has to find what the first one's stack was given.
unset METERWAY_STACK_FRESH METERWAY_KAFKA_BROKERS METERWAY_OIDC
folder=$home/stacks/$METERWAY_STACK

stack() { "$here/stack.sh" "$@"; }
step() { printf '\n== %s\n' "$*"; }
die() { printf 'selftest FAILED: %s\n' "$*" >&2; exit 1; }

python() { PYTHONPATH="$here" PYTHONPYCACHEPREFIX="$home/pycache" "$home/venv/bin/python" "$@"; }
answers() { [[ $(stack status || true) =~ " $1 "\ *ready ]]; }
exchange() { python "$here/exchange.py" "$1" "$folder/stack.env"; }

finish() {
  local code=$?
  stack wipe >/dev/null || code=1
  exit "$code"
}
trap finish EXIT

step "the containers are the same components"
python "$here/check_compose.py"

step "up, from nothing"
METERWAY_STACK_FRESH=1 stack up
stack status

step "every component takes a write and gives it back"
exchange write
exchange read

step "a killed component is noticed, the others stay"
pids=$(head -qn 1 "$folder"/pids/*)
kill -9 "$(head -n 1 "$folder/pids/s3")"
if stack status; then die "status did not notice the killed component"; fi

step "up again brings it back, with what was written"
stack up
exchange read
pids+=$'\n'$(head -n 1 "$folder/pids/s3")

step "down leaves no process"
stack down
for pid in $pids; do
  # A zombie has ended; only its parent has not asked yet.
  if [[ -r /proc/$pid/stat && ! $(<"/proc/$pid/stat") =~ \)\ Z ]]; then die "process $pid is still there"; fi
done
if stack status >/dev/null; then die "status calls a stopped stack ready"; fi

step "three brokers lose nothing when one is killed, nor in a rolling restart"
stack wipe
export METERWAY_KAFKA_BROKERS=3
stack start kafka-1 kafka-2 kafka-3
python "$here/failover.py" "$folder/stack.env"

step "a component is paused, resumed, and kept from writing by name"
stack start s3
answers s3 || die "s3 was started and does not answer"
stack pause s3
if answers s3; then die "status calls a paused component ready"; fi
stack resume s3
answers s3 || die "s3 goes on and does not answer"
stack fill s3
if answers s3; then die "status calls a component ready that cannot write"; fi
stack free s3
answers s3 || die "s3 may write and does not answer"
stack kill s3
if answers s3; then die "status calls a killed component ready"; fi
stack start s3

step "every demo user signs in to the stand-in for tests, and what must be refused is refused"
"$here/install-oidc.sh" mock
stack wipe
METERWAY_OIDC=mock stack start oidc-mock
python "$here/check_oidc.py" "$folder/stack.env"
stack wipe
if [[ -f $home/lib/keycloak/installed ]]; then
  step "the same with Keycloak, which is installed"
  METERWAY_OIDC=keycloak stack start keycloak
  python "$here/check_oidc.py" "$folder/stack.env"
fi

printf '\nselftest passed\n'
