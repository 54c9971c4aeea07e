#!/usr/bin/env bash
# Tries every way between the pods of a release and what is around them: policies.sh NAMESPACE
#
# A probe stands in for each kind of pod, with its labels and in its namespace, and tries all targets at once. What must be open is
# written down here, apart from the chart. Ends with 0 when all is as it must be.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/node/settings.sh"
namespace=${1:?}
readonly BASE=15000

# Who may reach what; everything else must be closed.
declare -A MAY=(
  [ingest]="kafka registry dynamodb metadata"
  [validate]="kafka registry"
  [parquet-sink]="kafka registry s3 postgres"
  [redshift-loader]="kafka registry s3 postgres"
  [alert]="kafka registry dynamodb"
  [metadata]="kafka registry postgres"
  [topics]="kafka registry"
  [migrate]="postgres"
  [test]="kafka registry s3 postgres dynamodb ingest metadata"
  # A pod of the release that no policy knows, one of somebody else, and Prometheus.
  [unknown]=""
  [stranger]="kafka registry s3 postgres dynamodb elsewhere api ingest"
  [prometheus]="kafka registry s3 postgres dynamodb elsewhere api ingest ingest-admin validate-admin metadata-admin"
)

kubectl() { "$here/exec.sh" kubectl "$@"; }
service() { kubectl -n "$namespace" get service "meterway-$1" -o 'jsonpath={.spec.clusterIP}'; }
pod_address() { kubectl -n "$namespace" get pods -l "app.kubernetes.io/component=$1" -o 'jsonpath={.items[0].status.podIP}'; }

targets=(
  "kafka=$address:$((BASE + 92))" "registry=$address:$((BASE + 81))" "s3=$address:$((BASE + 33))"
  "postgres=$address:$((BASE + 32))" "dynamodb=$address:$((BASE + 80))"
  # Something on the node that nobody has named: the filer behind S3, and the API of Kubernetes.
  "elsewhere=$address:$((BASE + 39))" "api=10.96.0.1:443"
  "ingest=$(service ingest):8080" "metadata=$(service metadata):50051"
  "ingest-admin=$(pod_address ingest):9100" "validate-admin=$(pod_address validate):9100"
  "metadata-admin=$(pod_address metadata):9100"
)

# place <who>: namespace and labels of the probe.
place() {
  case $1 in
  stranger) echo strangers "{}" ;;
  prometheus) echo monitoring "{}" ;;
  *) echo "$namespace" "{app.kubernetes.io/name: meterway, app.kubernetes.io/instance: meterway, app.kubernetes.io/component: $1}" ;;
  esac
}

probe() {
  local where labels arguments
  read -r where labels <<<"$(place "$1")"
  arguments=$(printf '"%s", ' 3 "${targets[@]}")
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: probe-$1, namespace: $where, labels: $labels}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: probe
      image: meterway.local/test/probe:dev
      imagePullPolicy: Never
      args: [${arguments%, }]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
YAML
}

kubectl create namespace strangers >/dev/null 2>&1
kubectl create namespace monitoring >/dev/null 2>&1
for other in strangers monitoring; do
  until kubectl -n "$other" get serviceaccount default >/dev/null 2>&1; do sleep 0.2; done
done
for who in "${!MAY[@]}"; do probe "$who"; done | kubectl apply -f - >/dev/null || fail "The probes could not be made."

wrong=0 tried=0
for who in "${!MAY[@]}"; do
  read -r where _ <<<"$(place "$who")"
  kubectl -n "$where" wait --for=jsonpath='{.status.phase}'=Succeeded "pod/probe-$who" --timeout=60s >/dev/null ||
    fail "The probe of $who did not end: kubectl -n $where describe pod probe-$who"
  while read -r target found; do
    wanted=closed
    [[ " ${MAY[$who]} " == *" $target "* ]] && wanted=open
    tried=$((tried + 1))
    if [[ $found != "$wanted" ]]; then
      wrong=$((wrong + 1))
      say "$who to $target is $found, must be $wanted"
    fi
  done < <(kubectl -n "$where" logs "probe-$who")
  kubectl -n "$where" delete pod "probe-$who" --wait=false >/dev/null
done
say "$tried ways tried, $wrong wrong"
((wrong == 0 && tried == ${#MAY[@]} * ${#targets[@]}))
