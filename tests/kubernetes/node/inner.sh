#!/usr/bin/env bash
# Pid 1 of the node's namespaces; started by up.sh, which exports here, state, node, address and cgroup.
set -euo pipefail
: "${here:?}" "${state:?}" "${node:?}" "${address:?}" "${cgroup:?}"
bin=$state/bin pki=$state/pki logs=$state/logs
mkdir -p "$logs"
hostname "$node"
mount --make-rshared /

# The node's address on a pair of ends that leads nowhere.
ip link set lo up
ip link add node0 type veth peer name node0p
ip link set node0p up
ip addr add "$address/24" dev node0
ip link set node0 up
# Addresses of Services must be routable before they are translated.
ip route add 10.96.0.0/16 dev node0 src "$address"
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1

# The folders that kubelet and containerd expect, with what they hold below the node's own folder.
mount -t tmpfs tmpfs /run
mkdir -p /run/containerd /run/netns
for folder in /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers; do
  mkdir -p "$folder" "$state$folder"
  mount --bind "$state$folder" "$folder"
done
mount --make-rshared /var/lib/kubelet

# kubelet sets kernel parameters of the whole machine unless they have its values: it is shown files that do.
number=0
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=$state/sysctl.$((number += 1))
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%%=*}"
done

# A control group of its own for all pods.
for controller in /sys/fs/cgroup/*/; do mkdir -p "$controller$cgroup"; done
sets=/sys/fs/cgroup/cpuset
if [[ -d $sets ]]; then
  cat $sets/cpuset.cpus >"$sets/$cgroup/cpuset.cpus"
  cat $sets/cpuset.mems >"$sets/$cgroup/cpuset.mems"
fi

start() {
  local name=$1
  shift
  nice "$@" >"$logs/$name.log" 2>&1 &
}
trap 'kill $(jobs -p) 2>/dev/null; sleep 1; exit 0' TERM INT

start etcd "$bin/etcd" --name node --data-dir "$state/etcd" --unsafe-no-fsync \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster node=http://127.0.0.1:2380
start containerd containerd --config "$state/containerd.toml"
start kube-apiserver "$bin/kube-apiserver" --advertise-address="$address" --bind-address=0.0.0.0 --secure-port=6443 \
  --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC \
  --enable-admission-plugins=NodeRestriction --allow-privileged=true --client-ca-file="$pki/ca.crt" \
  --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
  --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
  --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key"
until [[ -S /run/containerd/containerd.sock ]]; do sleep 0.1; done
for image in "$state"/images/*.tar; do ctr -n k8s.io images import "$image" >>"$logs/import.log" 2>&1; done
until "$bin/kubectl" --kubeconfig "$pki/admin.kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep 0.3; done
touch "$state/api-answers"
start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$pki/controllers.kubeconfig" \
  --authentication-kubeconfig="$pki/controllers.kubeconfig" --authorization-kubeconfig="$pki/controllers.kubeconfig" \
  --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials \
  --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/accounts.key" \
  --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
  --allocate-node-cidrs=true --cluster-cidr=10.244.0.0/16 --service-cluster-ip-range=10.96.0.0/16
start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$pki/scheduler.kubeconfig" \
  --authentication-kubeconfig="$pki/scheduler.kubeconfig" --authorization-kubeconfig="$pki/scheduler.kubeconfig" \
  --bind-address=127.0.0.1 --leader-elect=false
start kubelet "$bin/kubelet" --config="$state/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" \
  --hostname-override="$node" --node-ip="$address"
# Connection tracking belongs to the machine: no limits are set from inside.
start kube-proxy "$bin/kube-proxy" --kubeconfig="$pki/proxy.kubeconfig" --hostname-override="$node" --proxy-mode=nftables \
  --cluster-cidr=10.244.0.0/16 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
  --conntrack-tcp-timeout-close-wait=0 --metrics-bind-address=127.0.0.1:10249
start policies python3 "$here/policies.py" "$pki"
wait
