# upgrade/apply
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
  # What this host is at when kubeadm fails: it may have put components back to their old manifests.
  tell() {
    if test -d /etc/kubernetes/manifests; then
      echo 'the manifests of this host name now:'
      grep -hs ' image: ' /etc/kubernetes/manifests/*.yaml
    fi
    return 1
  }
  # Who leads renews its lease every two seconds. Until both do after a restart, the pod of kubeadm's own check would not
  # start, and kubeadm would give up.
  local -A seen=()
  local lease renewed waiting
  for _ in $(seq 120); do
    waiting=
    for lease in kube-controller-manager kube-scheduler; do
      renewed=$(kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system get lease "$lease" \
        -o 'jsonpath={.spec.renewTime}' 2>/dev/null || true)
      test -n "${seen[$lease]-}" || seen[$lease]=$renewed
      if test -z "$renewed" || test "$renewed" = "${seen[$lease]}"; then waiting+=" $lease"; fi
    done
    test -n "$waiting" || break
    echo "waiting for who leads:$waiting"
    sleep 0.5
  done
  kubeadm upgrade apply v1.36.3 --yes --ignore-preflight-errors=SystemVerification,Mem --patches=/etc/kubernetes/patches || tell
  put_file /var/lib/kubelet/clusterctl-upgraded 0644 1.36.3

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
  printf '%s\n' upgrade/apply >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
