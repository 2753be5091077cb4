# upgrade/packages
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
  apt_get install --download-only --no-remove --no-install-recommends --allow-change-held-packages 'kubelet=1.36.3-*' 'kubectl=1.36.3-*'
  work=$(mktemp -d -p /var/tmp)
  trap 'rm -rf "$work"' EXIT
  kubelet=/usr/bin/kubelet
  for package in /var/cache/apt/archives/kubelet_1.36.3-*.deb; do
    if test -f "$package"; then
      dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work" ./usr/bin/kubelet
      kubelet=$work/usr/bin/kubelet
    fi
  done

  if test "$("$kubelet" --version)" != "Kubernetes v"1.36.3; then
    echo "apt left no package of the kubelet "1.36.3" in /var/cache/apt/archives" >&2
    exit 1
  fi

  # With --version a kubelet reads its flags and ends; an unknown one is an error.
  for file in /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet; do
    test -f "$file" || continue
    words=$(sed -n 's/^[A-Z_]*=//p' "$file" | tr -d "\"'")
    # The words are the flags.
    # shellcheck disable=SC2086
    if ! said=$("$kubelet" $words --version 2>&1); then
      echo "the kubelet of "1.36.3" does not take the flags in $file: $said" >&2
      exit 1
    fi
  done

  # Feature gates are read before the port, which is wrong on purpose: no kubelet gets any further.
  if test -f /var/lib/kubelet/config.yaml; then
    { printf 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nhealthzPort: 99999\n'
      awk '/^featureGates:/ {inside = 1; print; next} /^[^ ]/ {inside = 0} inside' /var/lib/kubelet/config.yaml
    } >"$work/gates.yaml"
    said=$("$kubelet" --config "$work/gates.yaml" 2>&1) || true
    if gate=$(printf '%s\n' "$said" | grep -o -m 1 'unrecognized feature gate: [A-Za-z0-9]*'); then
      echo "the kubelet of "1.36.3" does not know what "/var/lib/kubelet/config.yaml" asks for: $gate" >&2
      exit 1
    fi
  fi
  touch /run/clusterctl/kubelet-1.36.3-fits

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
  printf '%s\n' upgrade/packages >/run/clusterctl/running
  local code
  set +e
  (set -e; main) </dev/null >/run/clusterctl/log 2>&1 9>&-
  code=$?
  cat /run/clusterctl/log
  exit "$code"
}
run
