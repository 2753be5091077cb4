# upgrade/snapshot
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
  local folder=/var/lib/clusterctl/backup data=/var/lib/etcd running container size place free status
  # Whatever is written from here on holds the cluster's secrets.
  umask 077
  install -d -m 0700 "$(dirname "$folder")" "$folder"
  # What an interrupted run left.
  rm -f "$folder"/* "$data"/clusterctl-snapshot.db*

  running=$(ctr --namespace k8s.io tasks list | awk '$3 == "RUNNING" {print $1}')
  container=$(ctr --namespace k8s.io containers list --quiet 'labels."io.kubernetes.container.name"==etcd,labels."io.kubernetes.pod.namespace"==kube-system,labels."io.kubernetes.pod.name"==etcd-cp1' | grep -m 1 -Fx "$running") || {
    echo "no container of etcd is running here" >&2
    exit 1
  }
  in_etcd() { ctr --namespace k8s.io tasks exec --exec-id "clusterctl-$$-$RANDOM" "$container" "$@"; }

  size=$(( $(stat -c %s "$data/member/snap/db") / 1048576 + 1 ))
  for place in "$data" "$folder"; do
    free=$(df -Pm "$place" | awk 'NR == 2 {print $4}')
    if test "$free" -lt $(( size + 256 )); then
      echo "$free MiB are free below $place; a snapshot of etcd takes $size MiB, and 256 are to stay" >&2
      exit 1
    fi
  done

  # etcd's container sees its own directories of the host and no others.
  in_etcd etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt \
    --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key \
    --command-timeout 10m snapshot save "$data/clusterctl-snapshot.db"
  status=$(in_etcd etcdutl --write-out json snapshot status "$data/clusterctl-snapshot.db")
  chmod 0600 "$data/clusterctl-snapshot.db"
  mv "$data/clusterctl-snapshot.db" "$folder/"etcd.db

  # kubeadm's own backups in tmp hold copies of etcd.
  tar -C /etc/kubernetes --exclude ./tmp -chf "$folder/"etc-kubernetes.tar .
  sync -f "$folder"

  echo '@@ saved'
  echo "$status"
  cd "$folder"
  sha256sum etcd.db etc-kubernetes.tar | while read -r digest name; do
    echo "$digest $(stat -c %s "$name") $name"
  done

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
  printf '%s\n' upgrade/snapshot >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
