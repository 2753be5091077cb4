# control-plane/upload-certs
set -euo pipefail
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# put_file PATH MODE CONTENT replaces a file in one move; a directory that is there keeps its mode.
put_file() {
  if ! test -d "$(dirname "$1")"; then install -d -m 0755 "$(dirname "$1")"; fi
  printf '%s' "$3" >"$1.clusterctl"
  chmod "$2" "$1.clusterctl"
  mv -f "$1.clusterctl" "$1"
}

main() {
  trap 'rm -f '/run/clusterctl/certificate-key' /run/clusterctl/upload-certs.yaml' EXIT
  put_file /run/clusterctl/upload-certs.yaml 0600 'apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: "v1.36.3"
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
# The script adds the certificateKey.
'
  # printf is the shell's own: the key stands in no argument list.
  printf 'certificateKey: %s\n' "$(cat /run/clusterctl/certificate-key)" >>/run/clusterctl/upload-certs.yaml
  kubeadm init phase upload-certs --upload-certs --skip-certificate-key-print \
    --config /run/clusterctl/upload-certs.yaml
  # The token that owns the Secret is marked as clusterctl's: it is deleted with the join tokens, and the Secret with it.
  export KUBECONFIG=/etc/kubernetes/admin.conf
  owner=$(kubectl --namespace kube-system get secret kubeadm-certs -o 'jsonpath={.metadata.ownerReferences[0].name}')
  kubectl --namespace kube-system label secret "$owner" clusterctl.io/join-token=true

}

# The script holds its host's lock and writes to a file there, not into the connection: when the
# connection breaks it goes on to its end, and whoever looks meanwhile sees that the host is busy.
run() {
  trap '' HUP
  install -d -m 0700 /run/clusterctl
  exec 9>>/run/clusterctl/lock
  if ! flock -w 5 9; then
    echo "another script of clusterctl runs here: $(cat /run/clusterctl/running)" >&2
    exit 75
  fi
  printf '%s\n' control-plane/upload-certs >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
# control-plane/join
set -euo pipefail
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export http_proxy=http://proxy.example:3128
export no_proxy=localhost,127.0.0.1,::1,.svc,.cluster.local,10.10.0.0/16,10.96.0.0/12,192.0.2.100,192.0.2.0/24,192.0.2.11,192.0.2.12,192.0.2.13,192.0.2.21,192.0.2.22,mirror.example,.internal.example,10.0.0.0/8
export HTTP_PROXY=http://proxy.example:3128
export NO_PROXY=localhost,127.0.0.1,::1,.svc,.cluster.local,10.10.0.0/16,10.96.0.0/12,192.0.2.100,192.0.2.0/24,192.0.2.11,192.0.2.12,192.0.2.13,192.0.2.21,192.0.2.22,mirror.example,.internal.example,10.0.0.0/8

# put_file PATH MODE CONTENT replaces a file in one move; a directory that is there keeps its mode.
put_file() {
  if ! test -d "$(dirname "$1")"; then install -d -m 0755 "$(dirname "$1")"; fi
  printf '%s' "$3" >"$1.clusterctl"
  chmod "$2" "$1.clusterctl"
  mv -f "$1.clusterctl" "$1"
}

main() {
  trap 'rm -f '/run/clusterctl/discovery.conf' '/run/clusterctl/certificate-key' /run/clusterctl/kubeadm-join.yaml' EXIT
  put_file /run/clusterctl/kubeadm-join.yaml 0600 'apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration:
  name: "cp2"
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: []
  kubeletExtraArgs:
    - name: node-ip
      value: "192.0.2.12"
discovery:
  file:
    # A kubeconfig with the cluster'"'"'s CA, its endpoint and a token of this run; the script removes it.
    kubeConfigPath: "/run/clusterctl/discovery.conf"
patches:
  directory: "/etc/kubernetes/patches"
controlPlane:
  localAPIEndpoint:
    advertiseAddress: "192.0.2.12"
    bindPort: 6443
  # The script adds the certificateKey.
'
  # printf is the shell's own: the key stands in no argument list.
  printf '  certificateKey: %s\n' "$(cat /run/clusterctl/certificate-key)" >>/run/clusterctl/kubeadm-join.yaml
  kubeadm join --config /run/clusterctl/kubeadm-join.yaml

}

# The script holds its host's lock and writes to a file there, not into the connection: when the
# connection breaks it goes on to its end, and whoever looks meanwhile sees that the host is busy.
run() {
  trap '' HUP
  install -d -m 0700 /run/clusterctl
  exec 9>>/run/clusterctl/lock
  if ! flock -w 5 9; then
    echo "another script of clusterctl runs here: $(cat /run/clusterctl/running)" >&2
    exit 75
  fi
  printf '%s\n' control-plane/join >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
