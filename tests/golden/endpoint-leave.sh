# endpoint/leave
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
  # haproxy_says prints what HAProxy answers to a command, by its runtime API. perl-base is essential; socat is not.
  haproxy_says() {
    perl -MSocket -e '
      socket my $haproxy, PF_UNIX, SOCK_STREAM, 0 or die "socket: $!\n";
      connect $haproxy, sockaddr_un(shift) or die "HAProxy: $!\n";
      syswrite $haproxy, "@ARGV\n";
      print while <$haproxy>' /run/haproxy/admin.sock "$@"
  }
  # HAProxy is silent when it has done what it is told.
  said=$(haproxy_says set server kube-apiserver/cp2 state drain)
  if test -n "$said"; then
    echo "HAProxy: $said" >&2
    return 1
  fi

  # api_server prints the process that takes connections as the API server, if there is one.
  api_server() { ss -Hltnp 'sport = :6443' | sed -n 's/.*"kube-apiserver",pid=\([0-9]*\).*/\1/p'; }
  # Who is connected leaves as well. Told to end, the API server answers a while longer, then takes no more requests and
  # says so to its clients. What stays are watches, for a minute; whoever watches asks the next one. The kubelet starts
  # it again.
  process=$(api_server)
  if test -n "$process"; then
    kill -TERM "$process"
    for _ in $(seq 60); do
      if test "$(api_server)" != "$process"; then break; fi
      sleep 0.5
    done
    timeout 5 tail --pid="$process" -f /dev/null || kill -KILL "$process" || true
  fi

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
  printf '%s\n' endpoint/leave >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
