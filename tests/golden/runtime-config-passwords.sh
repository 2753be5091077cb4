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
  put_file /etc/containerd/config.toml 0644 'version = 3

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "registry.k8s.io/pause:3.10.2"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [
    "/opt/cni/bin",
]
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = true
'
  put_file /etc/systemd/system/containerd.service.d/90-clusterctl-proxy.conf 0644 '[Service]
Environment="HTTP_PROXY=http://proxy.example:3128" "NO_PROXY=localhost,127.0.0.1,::1,.svc,.cluster.local,10.10.0.0/16,10.96.0.0/12,mirror.example,.internal.example,10.0.0.0/8"
'
  put_file /etc/containerd/certs.d/mirror.example:5000/ca.crt 0644 '-----BEGIN CERTIFICATE-----
MIIBMTCB2aADAgECAgEBMAoGCCqGSM49BAMCMCMxITAfBgNVBAMMGG1pcnJvci5l
eGFtcGxlIGF1dGhvcml0eTAeFw0yNjAxMDEwMDAwMDBaFw00NjAxMDEwMDAwMDBa
MCMxITAfBgNVBAMMGG1pcnJvci5leGFtcGxlIGF1dGhvcml0eTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABPXlJFViUGUhWHUX+2/xEa8WWIgqaYi0+WgSwKXIs5N0
/4VM6Sfp3OAetTVbrEi0g8GC4JIA95oOkWBTXvSpGhswCgYIKoZIzj0EAwIDRwAw
RAIgC9SZg0U4PRhAFhTSWroohcjZ87V1F3PMVss7gX2vOKECID/5W7brCrgXN6sa
xcVZ9EAFBQDMqrpRcAJ9cilgHGSP
-----END CERTIFICATE-----
'
  put_file /etc/containerd/certs.d/loose.example/hosts.toml 0644 'server = "https://loose.example"
skip_verify = true
'
  trap 'rm -rf '/run/clusterctl/registries EXIT
  install -d -m 0755 "$(dirname /etc/containerd/certs.d/registry.k8s.io/hosts.toml)"
  install -m 0600 /run/clusterctl/registries/registry.k8s.io /etc/containerd/certs.d/registry.k8s.io/hosts.toml.clusterctl
  mv -f /etc/containerd/certs.d/registry.k8s.io/hosts.toml.clusterctl /etc/containerd/certs.d/registry.k8s.io/hosts.toml
  install -d -m 0755 "$(dirname /etc/containerd/certs.d/mirror.example:5000/hosts.toml)"
  install -m 0600 /run/clusterctl/registries/mirror.example:5000 /etc/containerd/certs.d/mirror.example:5000/hosts.toml.clusterctl
  mv -f /etc/containerd/certs.d/mirror.example:5000/hosts.toml.clusterctl /etc/containerd/certs.d/mirror.example:5000/hosts.toml
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
