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
  # printf is the shell's own: the key stands in no argument list.
  key=$(head -c 32 /dev/urandom | base64 -w0)
  (umask 077
    printf '%s\n' \
      'apiVersion: apiserver.config.k8s.io/v1' \
      'kind: EncryptionConfiguration' \
      'resources:' \
      '  - resources: [secrets]' \
      '    providers:' \
      '      - secretbox:' \
      '          keys:' \
      '            - name: key1' \
      "              secret: $key" \
      '      - identity: {}' >/etc/kubernetes/encryption/config.yaml.clusterctl)
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
