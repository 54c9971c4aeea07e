#!/usr/bin/env bash
# Keys, certificates and kubeconfigs of the node: pki.sh FOLDER ADDRESS NODE. Ends at once when they are there.
set -euo pipefail
folder=$1 address=$2 node=$3
mkdir -p "$folder" && cd "$folder"
[[ -e done ]] && exit 0

key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1.key" 2>/dev/null; }

# certificate <name> <subject> [alternative names]
certificate() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth,serverAuth\n%s\n' \
    "${3:+subjectAltName=$3}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

key ca
openssl req -x509 -new -key ca.key -subj /CN=meterway-node-ca -days 3650 -out ca.crt
names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
certificate apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$address,IP:10.96.0.1,$names"
certificate admin /O=system:masters/CN=admin
certificate controllers /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
certificate proxy /CN=system:kube-proxy
certificate kubelet "/O=system:nodes/CN=system:node:$node" "IP:$address,DNS:$node"
certificate kubelet-client /O=system:masters/CN=kubelet-client
certificate front-proxy-client /CN=front-proxy-client
openssl genrsa -out accounts.key 2048 2>/dev/null
openssl rsa -in accounts.key -pubout -out accounts.pub 2>/dev/null

for user in admin controllers scheduler proxy kubelet; do
  cat >"$user.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $user, user: {client-certificate-data: $(base64 -w0 $user.crt), client-key-data: $(base64 -w0 $user.key)}}]
contexts: [{name: node, context: {cluster: node, user: $user}}]
current-context: node
YAML
done
rm -f ./*.csr ./*.ext
touch done
