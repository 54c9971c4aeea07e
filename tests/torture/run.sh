#!/usr/bin/env bash
# The attack around its components: run.sh slice|long|attack [OPTIONS OF torture]   (README.md beside this file)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=${METERWAY_BIN:-${CARGO_TARGET_DIR:-target}/debug}
state=$PWD/.local/torture

port_base=${METERWAY_TORTURE_PORT_BASE:-27000}
unset METERWAY_PORT_BASE # of another stack, in a shell that sourced its settings
export METERWAY_STACK=torture METERWAY_PORT_BASE=$port_base METERWAY_KAFKA_BROKERS=3
for name in $(compgen -e | grep -E '^METER_' || true); do unset "$name"; done

# Whatever happens, nothing is left running: first the services, should the attack have been killed itself, then the stack.
finish() {
  local status=$? file pid name
  trap "" INT
  for file in "$state"/logs/*.pid; do
    [[ -f $file ]] || continue
    pid=$(<"$file") name=$(basename "$file" .pid)
    # Only a process that still is the service of that name: pids are used again.
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$(cut -c1-15 <<<"${name%-[0-9]}")" ]]; then kill -KILL "$pid"; fi
  done
  deploy/local/stack.sh "${METERWAY_TORTURE_AFTER:-wipe}"
  exit "$status"
}
trap finish EXIT
trap : INT

attack() {
  local plan
  # A wish that does not fit into its time is refused before anything is started.
  plan=$("$bin/torture" --plan-only "$@" 2>&1) || { echo "$plan" >&2; exit 2; }
  METERWAY_STACK_FRESH=1 deploy/local/stack.sh up
  "$bin/torture" --bin "$bin" --stack-env .local/stacks/torture/stack.env --state "$state" "$@"
}

case ${1:-slice} in
  # What a small machine can afford: at least a million readings and twenty kills in six minutes on two cores.
  slice) attack --report "$state-slice.json" "${@:2}" ;;
  # The figures of docs/reliability.md, with some to spare for fail points that are not passed, in rounds that can be run one by one (ROUND=3): each attacks a new installation.
  long)
    rounds=${ROUNDS:-4} status=0
    for round in ${ROUND:-$(seq 1 "$rounds")}; do
      report=reports/torture/$(date -u +%Y%m%dT%H%M%SZ)-seed${SEED:-1}-round$round.json
      attack --seed "${SEED:-1}" --round "$round" --report "$report" --readings $((10000000 / rounds)) --devices 1200 \
        --minutes 9 --kills $((240 / rounds)) --zombies $((248 / rounds)) --rebalances $((56 / rounds)) \
        --broker-kills $((24 / rounds)) --broker-rolls 1 --store-faults 3 --postgres-faults 4 --unreachable 4 \
        --outage 120 --door-outage 30 "${@:2}" || status=$?
      # 1: the promises did not hold, which stays in the record; 2: there was no attack.
      ((status <= 1)) || exit "$status"
    done
    exit "$status"
    ;;
  attack) attack "${@:2}" ;;
  *)
    echo "run.sh slice|long|attack, then options of torture" >&2
    exit 2
    ;;
esac
