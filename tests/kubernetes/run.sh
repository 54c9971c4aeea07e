#!/usr/bin/env bash
# The chart on a real node, from nothing and back to nothing: run.sh. Needs root; METERWAY_BIN names the folder of the programs.
# KEEP=1 leaves node and stand-ins up afterwards, to look at (tests/kubernetes/node/down.sh --wipe ends them).
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/node/settings.sh"
. "$here/../steps.sh"
cd "$root" || exit
bin_meterway=${METERWAY_BIN:?say where the programs are}
# The range of ports of examples/dev.yaml.
export METERWAY_STACK=kubernetes METERWAY_PORT_BASE=15000 METERWAY_STACK_HOST=$address METERWAY_STACK_FRESH=1
unset METERWAY_KAFKA_BROKERS
work=$root/.local/kubernetes-test
readonly NAMESPACE=meterway CHART=deploy/helm/meterway
# 600 s of load at this rate: longer than the upgrade and the kills take. It is ended when they are through.
readonly RATE=1500

in_node() { "$here/exec.sh" "$@"; }
kubectl() { in_node kubectl -n "$NAMESPACE" "$@"; }
helm() { in_node helm -n "$NAMESPACE" "$@"; }
meterway() { in_node "$bin_meterway/meterway" --no-color --env-file "$work/meterway.env" "$@"; }

finish() {
  local status=$? pid
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null; done
  [[ ${KEEP:-} == 1 ]] && exit "$status"
  step "taking everything down"
  "$here/exec.sh" deploy/local/stack.sh down >/dev/null 2>&1
  "$here/down.sh" --wipe
  deploy/local/stack.sh wipe >/dev/null 2>&1
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

bring_up() {
  step "a node, images, stand-ins"
  rm -rf "$work" && mkdir -p "$work"
  must "node" "$here/up.sh"
  must "images" deploy/docker/images.sh "$bin_meterway" .local/images
  must "import" "$here/import.sh" .local/images/*.tar
  must "probe" make_probe
  # The next release is the same programs under another name: what is tried is the replacement, not what is new.
  for program in ingest validate parquet-sink redshift-loader alert metadata meterway; do
    nsenter --target "$(cat "$state/pid1")" --mount --net --pid -- \
      ctr -n k8s.io images tag "meterway.local/meterway/$program:dev" "meterway.local/meterway/$program:next" >/dev/null
  done
  must "stand-ins on the node's address" in_node deploy/local/stack.sh up
  set -a
  # shellcheck disable=SC1090
  . ".local/stacks/$METERWAY_STACK/stack.env"
  set +a
}

make_probe() {
  gcc -Wall -Wextra -Os -static -o "$work/probe" "$here/../programs/probe/probe.c" &&
    python3 deploy/docker/image.py "$work/probe.tar" meterway.local/test/probe:dev "$work/probe" &&
    "$here/import.sh" "$work/probe.tar"
}

secrets() {
  kubectl create secret generic meterway-dev --from-literal=catalog-url="$ICEBERG_CATALOG_URL" \
    --from-literal=loader-url="$WAREHOUSE_LOADER_URL" --from-literal=reader-url="$WAREHOUSE_READER_URL" \
    --from-literal=app-url="$METADATA_APP_URL" --from-literal=owner-url="$METADATA_OWNER_URL" \
    --from-literal=s3-access-key="$S3_ACCESS_KEY" --from-literal=s3-secret-key="$S3_SECRET_KEY" \
    --from-literal=dynamodb-access-key="$AWS_ACCESS_KEY_ID" --from-literal=dynamodb-secret-key="$AWS_SECRET_ACCESS_KEY" &&
    kubectl create secret generic meterway-token --from-literal=token="$(openssl rand -hex 16)"
}

install() {
  step "install"
  in_node kubectl create namespace "$NAMESPACE" >/dev/null
  # The cluster itself refuses pods that are not restricted.
  in_node kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted >/dev/null
  must "secrets" secrets
  check "server dry run of all objects" dry_run
  must "helm install --wait" helm install meterway "$CHART" -f "$CHART/examples/dev.yaml" -f "$here/../values.yaml" --wait --timeout 5m
  check "every pod is ready, none was restarted" settled
  check "helm test: a reading of each partition in every store" helm test meterway --logs --timeout 5m
  {
    cat ".local/stacks/$METERWAY_STACK/stack.env"
    echo "INGEST_URL=http://$(service ingest):8080"
    echo "METADATA_GRPC_URL=http://$(service metadata):50051"
    echo "METADATA_TOKEN=$(kubectl get secret meterway-token -o 'jsonpath={.data.token}' | base64 -d)"
  } >"$work/meterway.env"
}

dry_run() {
  helm template meterway "$CHART" -f "$CHART/examples/dev.yaml" -f "$here/../values.yaml" |
    kubectl apply --dry-run=server --validate=strict -f -
}
service() { kubectl get service "meterway-$1" -o 'jsonpath={.spec.clusterIP}'; }
restarts() { kubectl get pods -l app.kubernetes.io/part-of=meterway -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount}{"\n"}{end}' | awk '{ sum += $1 } END { print sum + 0 }'; }
settled() { [[ $(restarts) == 0 ]]; }

policies() {
  step "network policies"
  "$here/../policies.sh" "$NAMESPACE" >"$work/policies.log" 2>&1
  local status=$?
  cat "$work/policies.log"
  check "what is named gets through, and nothing else: $(tail -1 "$work/policies.log")" test "$status" = 0
}

# load <name> <way> <seed>: readings of a fleet of its own in the background, until it is stopped.
load() {
  meterway simulate fleet --seed "$3" --devices 120 --out "$work/$1.ndjson" >/dev/null &&
    meterway onboard "$work/$1.ndjson" >/dev/null || return
  # Validate learns of the meters from the topic of devices.
  sleep 5
  meterway simulate run --seed "$3" --devices 120 --via "$2" --readings $((RATE * 600)) --rate "$RATE" \
    --journal "$work/$1.journal" --json >"$work/$1.json" 2>"$work/$1.log" &
  load_pid=$!
  sleep 5
  kill -0 "$load_pid"
}
stop_load() {
  # The job is a shell around nsenter, which became the program.
  pkill -INT -P "$load_pid"
  wait "$load_pid"
}
figure() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/$1.json" "$2"; }

upgrade() {
  step "upgrade under load"
  must "load through the door" load upgrade http 11
  check "helm upgrade --wait of every service" helm upgrade meterway "$CHART" -f "$CHART/examples/dev.yaml" -f "$here/../values.yaml" \
    --set image.tag=next --wait --timeout 8m
  check "every pod is of the next release" all_next
  bad_release
  sleep 5
  stop_load
  say "     $(figure upgrade http_requests) requests, $(figure upgrade http_retries) of them refused or cut off"
  check "no request failed" test "$(figure upgrade http_retries)" = 0 -a "$(figure upgrade http_requests)" -gt 500
  check "no process was restarted" settled
  adds_up "verify after the upgrade"
}
all_next() {
  ! kubectl get pods -l app.kubernetes.io/part-of=meterway --field-selector=status.phase=Running \
    -o 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}' | grep -v ':next$'
}

# A release that does not start must cost nothing: the old pods stay until the new ones are ready.
bad_release() {
  check "a release that does not start is not taken" not helm upgrade meterway "$CHART" -f "$CHART/examples/dev.yaml" \
    -f "$here/../values.yaml" --set image.tag=next --set services.ingest.image.tag=missing --wait --timeout 25s
  check "helm rollback --wait" helm rollback meterway 2 --wait --timeout 4m
}
not() { ! "$@"; }

kills() {
  step "pods killed under load"
  must "load through the door and Kafka" load kills mixed 12
  local service pod killed=0
  for service in validate parquet-sink redshift-loader alert ingest metadata; do
    pod=$(kubectl get pods -l "app.kubernetes.io/component=$service" -o 'jsonpath={.items[0].metadata.name}')
    # Without grace: SIGKILL, as when a node is lost.
    kubectl delete pod "$pod" --grace-period=0 --force >/dev/null 2>&1 && killed=$((killed + 1))
    sleep 4
  done
  check "a killed pod of each service is replaced ($killed killed)" replaced
  check "the budget lets one pod of ingest be evicted, and refuses the second" evictions
  check "every pod is ready again" replaced
  stop_load
  say "     $(figure kills http_requests) requests, $(figure kills http_retries) of them sent again"
  adds_up "verify after the kills"
}
replaced() {
  local service
  for service in ingest validate parquet-sink redshift-loader alert metadata; do
    kubectl rollout status "deployment/meterway-$service" --timeout=120s || return
  done
}
evict() {
  printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' "$1" "$NAMESPACE" |
    kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/$1/eviction" -f - 2>&1
}
# The budget counts a pod that has just become ready a moment later.
evictions() {
  local pods tries
  for tries in $(seq 15); do
    mapfile -t pods < <(kubectl get pods -l app.kubernetes.io/component=ingest --field-selector=status.phase=Running -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}')
    evict "${pods[0]}" | grep -q Success && break
    [[ $tries == 15 ]] && return 1
    sleep 2
  done
  evict "${pods[1]}" | grep -qE 'disruption budget|TooManyRequests'
}

# adds_up <name>: the last readings take as long as a commit and a load; verify must be clean then.
adds_up() {
  local name=$1 tries
  for tries in $(seq 24); do
    meterway verify >"$work/verify.log" 2>&1 && break
    sleep 5
  done
  check "$name (after $tries looks)" meterway verify
  tail -4 "$work/verify.log" | sed 's/^/     /'
}

remove() {
  step "uninstall"
  check "helm uninstall --wait" helm uninstall meterway --wait --timeout 3m
  kubectl delete pod meterway-test --wait=true >/dev/null 2>&1
  # Their pods end in their own time.
  kubectl wait --for=delete pod -l app.kubernetes.io/instance=meterway --timeout=2m >/dev/null 2>&1
  check "nothing of the release is left" nothing_left
}
nothing_left() {
  local left
  left=$(kubectl get all,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets,jobs -l app.kubernetes.io/instance=meterway -o name)
  [[ -z $left ]] || { echo "$left"; return 1; }
}

main() {
  bring_up
  install
  policies
  upgrade
  kills
  remove
  summary
}
main
