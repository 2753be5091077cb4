# api-server/encryption-key
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
  folder=$(dirname /etc/kubernetes/encryption/config.yaml)
  install -d -m 0700 "$folder"
  # The file of another control plane: Secrets have to be readable by all of them.
  trap 'rm -f '/run/clusterctl/encryption-config EXIT
  install -m 0600 /run/clusterctl/encryption-config /etc/kubernetes/encryption/config.yaml.clusterctl
  sync /etc/kubernetes/encryption/config.yaml.clusterctl
  # Once made, a key is never replaced: data that was written with it can be read with nothing else.
  ln /etc/kubernetes/encryption/config.yaml.clusterctl /etc/kubernetes/encryption/config.yaml
  rm /etc/kubernetes/encryption/config.yaml.clusterctl

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
  printf '%s\n' api-server/encryption-key >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
