# runtime/config
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
  # config.toml comes first: its time tells that containerd has not read yet what follows.
  put_file /etc/containerd/config.toml 0644 'version = 2

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "registry.k8s.io/pause:3.10.2"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = "/etc/containerd/cri-base.json"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "/etc/containerd/certs.d"
'
  put_file /etc/containerd/certs.d/registry.k8s.io/hosts.toml 0644 'server = "https://registry.k8s.io"

[host."http://10.77.0.1:5000"]
capabilities = [
    "pull",
    "resolve",
]
'
  put_file /etc/containerd/certs.d/docker.io/hosts.toml 0644 'server = "https://registry-1.docker.io"

[host."http://10.77.0.1:5000"]
capabilities = [
    "pull",
    "resolve",
]
'
  put_file /etc/containerd/certs.d/registry.example:5000/hosts.toml 0644 'server = "http://registry.example:5000"
'
  rm -f /etc/systemd/system/containerd.service.d/90-clusterctl-proxy.conf
  systemctl daemon-reload
  systemctl enable containerd.service
  systemctl restart containerd.service

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
  printf '%s\n' runtime/config >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
