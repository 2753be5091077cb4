# upgrade/kubelet
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
  # package_lock prints who holds a lock of apt or dpkg, and which one; nothing when all are free.
  package_lock() {
    perl -e '
      use strict; use Fcntl;
      for my $file ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock",
          "/var/cache/apt/archives/lock") {
        open my $handle, "<", $file or next;
        my $lock = pack "s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0;  # struct flock, alike on amd64 and arm64.
        fcntl $handle, F_GETLK, $lock or next;
        my ($kind, undef, undef, undef, $pid) = unpack "s s x4 q q i", $lock;
        next if $kind == F_UNLCK;
        my $name = "something";
        if (open my $comm, "<", "/proc/$pid/comm") { chomp($name = <$comm>) }
        print "$name (process $pid) holds the lock $file\n";
        last;
      }'
  }
  # apt by itself waits for dpkg's locks alone. All are waited for in sight: whoever looks reads who holds one.
  apt_get() {
    local holder told='' waited=0
    while holder=$(package_lock) && test -n "$holder"; do
      if test "$waited" -ge 600; then
        echo "waited 600 s in vain: $holder" >&2
        return 1
      fi
      if test "$holder" != "$told"; then echo "$holder"; told=$holder; fi
      sleep 1
      waited=$((waited + 1))
    done
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o DPkg::Lock::Timeout=600 \
      -o Dpkg::Options::=--force-confold "$@"
  }
  # api_server prints the process that takes connections as the API server, if there is one.
  api_server() { ss -Hltnp 'sport = :6443' | sed -n 's/.*"kube-apiserver",pid=\([0-9]*\).*/\1/p'; }
  process=$(api_server)
  apt_get install --no-remove --no-install-recommends --allow-change-held-packages 'kubelet=1.36.3-*' 'kubectl=1.36.3-*'
  apt-mark hold kubelet kubectl
  systemctl daemon-reload
  systemctl restart kubelet.service

  # A kubelet of another version may start the static pods anew, seconds after its own start; until then they look ready,
  # and the API server would be back in the endpoint too early. One that left them alone so long leaves them alone.
  echo 'seeing whether the new kubelet starts the API server anew'
  for _ in $(seq 60); do
    if test "$(api_server)" != "$process"; then break; fi
    sleep 0.5
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
  printf '%s\n' upgrade/kubelet >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
