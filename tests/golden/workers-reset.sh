# workers/reset
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
  install -d -m 0755 "$(dirname /var/lib/clusterctl/resetting)"
  touch /var/lib/clusterctl/resetting
  # Without that phase whatever lies in /var/lib/etcd stays: a worker's etcd is not ours.
  kubeadm reset --force --cleanup-tmp-dir --skip-phases remove-etcd-member \
    --cri-socket unix:///run/containerd/containerd.sock
  # Until the host joins again its kubelet would start in vain at each boot.
  systemctl disable --now kubelet.service
  if grep -F ' /var/lib/kubelet/' /proc/mounts >&2; then
    echo 'these are still mounted; what lies on them is left as it is' >&2
    return 1
  fi

  # kubeadm knows nothing of the pod network: its files, its interfaces, its routes (of protocol 80, Calico's), and the
  # rules of it and of kube-proxy. Rules of others stay.
  rm -rf --one-file-system /etc/cni/net.d/* /var/lib/cni /var/lib/calico /run/flannel
  for link in $(ip -o link show | awk -F ': ' '{sub("@.*", "", $2); print $2}'); do
    case $link in
      cni0 | flannel.1 | flannel-v6.1 | vxlan.calico | vxlan-v6.calico | wireguard.cali | cali* | kube-ipvs0)
        ip link delete "$link" || true ;;
    esac
  done
  ip route flush proto 80 || true
  ip -6 route flush proto 80 || true
  for tables in iptables ip6tables; do
    if command -v "$tables-save" >/dev/null; then
      "$tables-save" | sed -E '/KUBE-|cali[-:]|CNI-|FLANNEL-/d' | "$tables-restore"
    fi
  done
  if command -v nft >/dev/null; then
    nft list tables | while read -r _ family table; do
      case $table in kube-proxy | calico) nft delete table "$family" "$table" ;; esac
    done
  fi
  rm -f /run/clusterctl/kubelet-*-fits /var/lib/clusterctl/resetting

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
  printf '%s\n' workers/reset >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
