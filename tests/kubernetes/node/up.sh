#!/usr/bin/env bash
# Brings the node up and waits until it takes pods. Everything runs in namespaces of its own, with no way out of its network.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
if node_pid >/dev/null; then say "the node is up"; exit 0; fi
"$here/setup.sh"
started=$(date +%s)
"$here/pki.sh" "$state/pki" "$address" "$node"
rm -f "$state/api-answers"
mkdir -p "$state/cni"

cat >"$state/cni/10-bridge.conflist" <<'JSON'
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
cat >"$state/containerd.toml" <<TOML
version = 2
root = "$state/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "meterway.local/node/pause:dev"
  # Where CAP_SYS_RESOURCE is missing, a negative score makes runc fail with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "$state/opt"
TOML
: >"$state/resolv.conf"
cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $state/pki/kubelet.crt
tlsPrivateKeyFile: $state/pki/kubelet.key
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: $state/resolv.conf
failSwapOn: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
YAML

export here state node address cgroup
setsid unshare --mount --pid --net --uts --ipc --fork --mount-proc --kill-child --propagation private \
  bash "$here/inner.sh" >"$state/inner.log" 2>&1 </dev/null &
outer=$!
echo "$outer" >"$state/pid"
for _ in $(seq 50); do
  pgrep -P "$outer" >"$state/pid1" 2>/dev/null && break
  sleep 0.1
done

kubectl() { "$here/exec.sh" kubectl "$@"; }
# State may be kept from an earlier run: only a heartbeat newer than this start counts.
ready() {
  local status heartbeat
  [[ -e $state/api-answers ]] || return
  read -r status heartbeat < <(kubectl get node "$node" -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}{"\n"}' 2>/dev/null) || return
  [[ $status == True ]] && (($(date -d "$heartbeat" +%s) >= started))
}
for _ in $(seq 240); do
  node_pid >/dev/null || fail "The node died while it started; see $state/inner.log and $state/logs."
  ready && break
  sleep 0.5
done
ready || fail "The node was not ready within two minutes; see $state/logs."
# Pods are refused before it is there.
until kubectl get serviceaccount default >/dev/null 2>&1; do sleep 0.2; done
kubectl apply -f "$here/coredns.yaml" >/dev/null
kubectl -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null || fail "CoreDNS did not come up; see kubectl -n kube-system get events."
say "Kubernetes $(kubectl get node "$node" -o 'jsonpath={.status.nodeInfo.kubeletVersion}') takes pods after $(($(date +%s) - started)) s"
