#!/usr/bin/env bash
# What the node needs: Debian's containerd, runc, network plugins and nftables; Kubernetes, CoreDNS and helm built from
# their Go modules. Ends at once when everything is there; the first time takes about ten minutes on two cores.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
readonly KUBERNETES=1.34.4 COREDNS=1.15.0 HELM=4.3.1
readonly PACKAGES=(containerd runc containernetworking-plugins iptables nftables conntrack socat openssl)
programs=$here/../programs
logs=$root/.local/setup-logs

install_packages() {
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing Debian's ${missing[*]}"
  # Their services must not start: the node runs its own, in its own namespaces.
  printf '#!/bin/sh\nexit 101\n' >"$logs/policy" && chmod +x "$logs/policy"
  [[ -e /usr/sbin/policy-rc.d ]] || { cp "$logs/policy" /usr/sbin/policy-rc.d && trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "${missing[@]}"; } >"$logs/kubernetes-packages.log" 2>&1 ||
    fail "apt could not install ${missing[*]} (see $logs/kubernetes-packages.log): check the network and Debian's sources."
}

# build <name> <what it is> <about how long> <command…>: runs the command unless the program is there; it writes to $out.
build() {
  local name=$1 what=$2 long=$3 out=$bin/$1 started=$SECONDS
  shift 3
  [[ -x $out ]] && return
  say "building $what ($long)"
  out=$out.new "$@" >"$logs/$name.log" 2>&1 || {
    tail -n 8 "$logs/$name.log" >&2
    fail "$what could not be built (whole log: $logs/$name.log): check that the machine reaches the Go module proxy and has 6 GB of disk."
  }
  mv "$out.new" "$out"
  say "  $what: done in $((SECONDS - started)) s"
}

# In shells of their own: they change the folder, one to a folder that is gone afterwards.
kubernetes() (
  local minor=${KUBERNETES#*.} flags="-s -w" package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
    flags+=" -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
  done
  cd "$programs/node" && CGO_ENABLED=0 nice go build -trimpath -ldflags "$flags" -o "$out" .
)
coredns() (cd "$programs/dns" && CGO_ENABLED=0 nice go build -trimpath -ldflags "-s -w" -o "$out" .)
helm() (
  local folder
  folder=$(mktemp -d) && cd "$folder" || return
  CGO_ENABLED=0 GOBIN=$folder nice go install -ldflags "-s -w" "helm.sh/helm/v4/cmd/helm@v$HELM" && mv helm "$out" && rmdir "$folder"
)
pause() { gcc -Os -static -o "$out" "$programs/pause/pause.c"; }

((EUID == 0)) || fail "The node needs root: it makes namespaces, mounts and control groups."
[[ -d /sys/fs/cgroup/memory ]] || fail "The node was only ever run with control groups of version 1, and this machine has version 2."
command -v go >/dev/null || fail "Go 1.26 is missing: Kubernetes, CoreDNS and helm are built from their modules."
mkdir -p "$bin" "$logs" "$state/images"
exec 8>"$bin/lock"
flock 8
install_packages
build "kubernetes-$KUBERNETES" "Kubernetes $KUBERNETES" "7 minutes of two cores" kubernetes
build "coredns-$COREDNS" "CoreDNS $COREDNS" "1 minute" coredns
build "helm-$HELM" "helm $HELM" "2 minutes" helm
build pause "the pause program" "a moment" pause

# The names that the one program answers to.
mkdir -p "$state/bin"
for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  ln -sfn "$bin/kubernetes-$KUBERNETES" "$state/bin/$name"
done
ln -sfn "$bin/helm-$HELM" "$state/bin/helm"
# image.py names the program in the image as the file is named.
ln -sfn "$bin/coredns-$COREDNS" "$state/bin/coredns"
ln -sfn "$bin/pause" "$state/bin/pause"
for name in pause coredns; do
  [[ $state/images/$name.tar -nt $root/deploy/docker/image.py ]] ||
    python3 "$root/deploy/docker/image.py" "$state/images/$name.tar" "meterway.local/node/$name:dev" "$state/bin/$name"
done
