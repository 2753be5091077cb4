# runtime/images
set -euo pipefail
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export http_proxy=http://proxy.example:3128
export no_proxy=localhost,127.0.0.1,::1,.svc,.cluster.local,10.10.0.0/16,10.96.0.0/12,mirror.example,.internal.example,10.0.0.0/8
export HTTP_PROXY=http://proxy.example:3128
export NO_PROXY=localhost,127.0.0.1,::1,.svc,.cluster.local,10.10.0.0/16,10.96.0.0/12,mirror.example,.internal.example,10.0.0.0/8

# put_file PATH MODE CONTENT replaces a file in one move; a directory that is there keeps its mode.
put_file() {
  if ! test -d "$(dirname "$1")"; then install -d -m 0755 "$(dirname "$1")"; fi
  printf '%s' "$3" >"$1.clusterctl"
  chmod "$2" "$1.clusterctl"
  mv -f "$1.clusterctl" "$1"
}

main() {
  # containerd unpacks an image on one processor, and fetches it over one connection a layer.
  printf '%s\n' registry.k8s.io/pause:3.10.2 |
    xargs -P 3 -I IMAGE ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d IMAGE >/dev/null

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
  printf '%s\n' runtime/images >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
