# packages/repository
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
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  apt-get -q -o DPkg::Lock::Timeout=300 update
  apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends --no-upgrade ca-certificates gpg
  install -d -m 0755 /etc/apt/keyrings
  key=$(mktemp)
  trap 'rm -f "$key"' EXIT
  curl -fsSL --retry 3 --max-time 60 -o "$key" http://10.77.0.1:8080/core:/stable:/v1.36/deb/Release.key
  if ! gpg --show-keys --with-colons "$key" 2>/dev/null | grep -qF :0123456789ABCDEF0123456789ABCDEF01234567:; then
    echo "the key of "http://10.77.0.1:8080/core:/stable:/v1.36/deb" is not "0123456789ABCDEF0123456789ABCDEF01234567", which the inventory expects" >&2
    exit 1
  fi
  install -m 0644 "$key" /etc/apt/keyrings/kubernetes-apt-keyring.asc
  put_file /etc/apt/sources.list.d/kubernetes.list 0644 'deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] http://10.77.0.1:8080/core:/stable:/v1.36/deb/ /
'
  # Only this repository's lists are read again; the others stay as they are.
  apt-get -q -o DPkg::Lock::Timeout=300 -o Dir::Etc::SourceList=/etc/apt/sources.list.d/kubernetes.list -o Dir::Etc::SourceParts=- \
    -o APT::Get::List-Cleanup=0 update

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
  printf '%s\n' packages/repository >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
