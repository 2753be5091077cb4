# reboot/restart
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
  # A unit of its own, which outlives this connection; the second lets the answer arrive.
  systemd-run --quiet --collect --on-active=1s --timer-property=AccuracySec=100ms systemctl reboot

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
  printf '%s\n' reboot/restart >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
