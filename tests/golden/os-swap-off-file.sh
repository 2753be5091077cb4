# os/swap-off
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
  swapoff /swapfile
  swapoff '/my swap'

  # Every swap entry becomes a comment; comments, other lines and their spacing stay as they are.
  if test -e /etc/fstab; then
    awk '!/^[[:space:]]*#/ && $3 == "swap" {print "# off for Kubernetes: " $0; next} {print}' /etc/fstab >/etc/fstab.clusterctl
    if cmp -s /etc/fstab /etc/fstab.clusterctl; then
      rm -f /etc/fstab.clusterctl
    else
      chmod --reference=/etc/fstab /etc/fstab.clusterctl
      mv -f /etc/fstab.clusterctl /etc/fstab
    fi
  fi

  systemctl daemon-reload
  # Swap units that generators make (GPT partitions, zram) hang on this target and no longer start at boot.
  systemctl mask swap.target

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
  printf '%s\n' os/swap-off >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
