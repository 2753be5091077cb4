# The probe: reads, and changes nothing.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Most of what a look costs is the processes that it starts; what bash can do itself starts none.
first_line() {
  local line=
  if read -r line <"$1" || test -n "$line"; then printf '%s\n' "$line"; fi
} 2>/dev/null

# files PATH... puts those that are files into the array found.
files() {
  local file
  found=()
  for file; do if test -f "$file"; then found+=("$file"); fi; done
  test -n "${found[*]}"
}

show_files() {
  local found file mode
  if ! files "$@"; then return; fi
  stat --printf '%a\t%n\n' "${found[@]}" | while IFS=$'\t' read -r mode file; do
    # A registry's file that only root may read holds a password.
    case $mode$file in 600/etc/containerd/certs.d/*) continue ;; esac
    printf '%s\t%s\t' "$file" "$mode"
    base64 -w0 "$file"
    echo
  done
}

# ask_etcd PATH... prints etcd's answer to each, one a line.
ask_etcd() {
  local url=https://127.0.0.1:2379/v3/
  (cd /etc/kubernetes/pki 2>/dev/null &&
    curl -s --noproxy '*' --max-time 3 --cacert etcd/ca.crt --cert apiserver-etcd-client.crt \
      --key apiserver-etcd-client.key -w '\n' -d '{}' "${@/#/$url}")
}

# administrator certificate|key prints that of the administrator's kubeconfig.
administrator() { awk -v name="client-$1-data:" '$1 == name {print $2}' /etc/kubernetes/admin.conf | base64 -d; }

# at_version PACKAGE: whether it is installed at the wanted version.
at_version() { case $'\n'$packages in *$'\n'"$1"$'\t'1.36.3-*) ;; *) return 1 ;; esac; }

upgrade_due() {
  ! at_version kubelet ||
    { test -e /etc/kubernetes/manifests/kube-apiserver.yaml &&
      ! grep -qF /kube-apiserver:v1.36.3 /etc/kubernetes/manifests/kube-apiserver.yaml; }
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
  echo '@@ clock'; date +%s.%N
  echo '@@ hostname'; first_line /proc/sys/kernel/hostname
  echo '@@ machine-id'; first_line /etc/machine-id
  echo '@@ boot-id'; first_line /proc/sys/kernel/random/boot_id
  ( . /etc/os-release 2>/dev/null
    printf '@@ os-id\n%s\n@@ os-version\n%s\n@@ os-name\n%s\n@@ os-codename\n%s\n' \
      "${ID:-}" "${VERSION_ID:-}" "${PRETTY_NAME:-}" "${VERSION_CODENAME:-}" )
  echo '@@ architecture'; uname -m
  echo '@@ kernel'; kernel=$(uname -r); echo "$kernel"
  echo '@@ cgroup'; if test -e /sys/fs/cgroup/cgroup.controllers; then echo v2; else echo v1; fi
  echo '@@ cpus'; nproc
  echo '@@ memory-kib'; awk '$1 == "MemTotal:" {print $2}' /proc/meminfo
  echo '@@ init'; first_line /proc/1/comm
  { ip -o link show; ip -o addr show scope global; } 2>/dev/null | awk '
    {sub(":$", "", $2); sub("@.*", "", $2)}
    $3 ~ /^</ {for (i = 4; i < NF; i++) {if ($i == "mtu") mtu[$2] = $(i + 1); if ($i == "link/ether") mac[$2] = $(i + 1)}}
    $3 ~ /^inet/ {sub("/.*", "", $4); addresses = addresses "\n" $4; links = links "\n" $4 "\t" $2 "\t" mac[$2] "\t" mtu[$2]}
    END {print "@@ addresses" addresses "\n@@ links" links}'
  echo '@@ routes'
  { ip -o -4 route show; ip -o -6 route show; } 2>/dev/null | awk '
    {sub("^(unreachable|blackhole|prohibit|throw|unicast) ", "")} $1 == "default" || $1 ~ /^fe80/ {next}
    {device = ""; for (i = 2; i < NF; i++) if ($i == "dev") device = $(i + 1); print $1 "\t" device}'
  echo '@@ nameservers'; awk '$1 == "nameserver" {print $2}' /etc/resolv.conf 2>/dev/null
  echo '@@ product-uuid'; first_line /sys/class/dmi/id/product_uuid
  echo '@@ host-keys'; awk '{print $1 " " $2}' /etc/ssh/ssh_host_*_key.pub 2>/dev/null
  echo '@@ disks'
  set --
  for path in /var/lib/containerd /var/lib/kubelet /var/lib/etcd /usr /etc/kubernetes /var/lib/clusterctl; do
    until test -d "$path/"; do path=${path%/*}; done
    set -- "$@" "$path/"
  done
  df -Pk "$@" 2>/dev/null |
    awk -v paths=' ''/var/lib/containerd /var/lib/kubelet /var/lib/etcd /usr /etc/kubernetes /var/lib/clusterctl'' ' 'BEGIN {split(paths, path, " ")} NR > 1 {print path[NR - 1] "\t" $4 "\t" $2 "\t" $6}'

  # A swap file of another mount namespace is listed here as well, and is not this host's.
  echo '@@ swaps'
  tail -n +2 /proc/swaps | while read -r path _; do if test -e "$path"; then echo "$path"; fi; done

  echo '@@ modules'
  for module in overlay br_netfilter; do
    if test -e "/sys/module/$module" || grep -qsF "/$module.ko" "/lib/modules/$kernel/modules.builtin"; then
      echo "$module"
    fi
  done
  # Built into the kernel, both are known by what they bring.
  if grep -qw overlay /proc/filesystems; then echo overlay; fi
  if test -e /proc/sys/net/bridge/bridge-nf-call-iptables; then echo br_netfilter; fi

  echo '@@ sysctls'
  for key in net.bridge.bridge-nf-call-ip6tables net.bridge.bridge-nf-call-iptables net.ipv4.ip_forward; do
    file=/proc/sys/${key//.//}
    if test -r "$file"; then printf '%s\t' "$key"; first_line "$file"; fi
  done

  echo '@@ files'
  show_files /etc/fstab /etc/modules-load.d/kubernetes.conf /etc/sysctl.d/99-kubernetes.conf /etc/apt/sources.list.d/kubernetes.list /etc/apt/apt.conf.d/90clusterctl-proxy /etc/apt/sources.list.d/clusterctl-containerd.list /etc/containerd/config.toml /etc/systemd/system/containerd.service.d/90-clusterctl-proxy.conf /etc/containerd/certs.d/registry.k8s.io/ca.crt /etc/containerd/certs.d/docker.io/ca.crt /etc/containerd/certs.d/registry.example:5000/ca.crt /etc/kubernetes/pki/ca.crt /etc/kubernetes/audit/policy.yaml /var/lib/clusterctl/backup.json /var/lib/kubelet/clusterctl-upgraded /var/lib/clusterctl/upgradable /etc/containerd/certs.d/registry.k8s.io/hosts.toml /etc/containerd/certs.d/docker.io/hosts.toml /etc/containerd/certs.d/registry.example:5000/hosts.toml /etc/kubernetes/patches/*

  echo '@@ digests'
  if files /etc/kubernetes/encryption/config.yaml /etc/containerd/certs.d/registry.k8s.io/hosts.toml /etc/containerd/certs.d/docker.io/hosts.toml /etc/containerd/certs.d/registry.example:5000/hosts.toml; then sha256sum "${found[@]}" | awk '{print $2 "\t" $1}'; fi

  echo '@@ paths'
  for path in /etc/kubernetes/admin.conf /etc/kubernetes/kubelet.conf /etc/kubernetes/bootstrap-kubelet.conf /var/lib/etcd/member /etc/apt/keyrings/kubernetes-apt-keyring.asc /etc/apt/keyrings/clusterctl-containerd.asc /run/reboot-required /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/manifests/kube-controller-manager.yaml /etc/kubernetes/manifests/kube-scheduler.yaml /run/clusterctl/kubelet-1.36.3-fits /etc/kubernetes/tmp /var/lib/clusterctl/resetting /etc/cni/net.d/*; do
    if test -e "$path"; then echo "$path"; fi
  done

  # The images of a control plane's own components, as the manifests name them.
  echo '@@ static-pods'
  if files /etc/kubernetes/manifests/*.yaml; then
    awk 'FNR == 1 {name = FILENAME; sub(".*/", "", name); sub("[.]yaml$", "", name); seen = 0}
      !seen && $1 == "image:" && index($2, "/" name ":") {print name "\t" $2; seen = 1}' "${found[@]}"
  fi

  echo '@@ packages'
  # A hold is the first word of a package's status; apt-mark and dpkg --audit read the same, and take long.
  packages=$(dpkg-query -W -f '${Package}\t${Version}\t${Status}\n' kubeadm kubectl kubelet ca-certificates curl gpg haproxy keepalived 2>/dev/null)
  printf '%s\n' "$packages" |
    while IFS=$'\t' read -r name version state; do
      case $state in *not-installed | *config-files) continue ;; esac
      printf '%s\t%s\t%s\t%s\n' "$name" "$version" "${state%% *}" "${state#* }"
    done
  echo '@@ dpkg-problem'
  problem=$(awk '$1 == "Package:" {name = $2}
    $1 == "Status:" && $4 ~ /^(half-installed|unpacked|half-configured)$/ {print name " is " $4}' /var/lib/dpkg/status)
  printf '%s\n' "$problem"
  # What looks interrupted may be under way.
  if test -n "$problem"; then echo '@@ package-lock'; package_lock; fi

  echo '@@ services'
  systemctl show --property=Id,ActiveState,UnitFileState containerd.service kubelet.service swap.target zramswap.service zram-config.service chrony.service chronyd.service systemd-timesyncd.service ntpsec.service ntp.service ntpd.service openntpd.service docker.service haproxy.service keepalived.service 2>/dev/null | awk -F= '
    $1 == "Id" {id = $2} $1 == "ActiveState" {active = $2} $1 == "UnitFileState" {enabled = $2}
    /^$/ {if (id != "") printf "%s\t%s\t%s\n", id, active, enabled; id = active = enabled = ""}
    END {if (id != "") printf "%s\t%s\t%s\n", id, active, enabled}'

  echo '@@ listeners'
  ss -Hltnp 2>/dev/null | awk '{port = $4; sub(".*:", "", port); name = $6; sub("^[^\"]*\"", "", name); sub("\".*", "", name)
    print port "\t" name}' | awk -F '\t' -v wanted=' ''2379 2380 6443 10250 10256 10257 10259'' ' 'index(wanted, " " $1 " ")' | sort -u

  echo '@@ containerd-version'; containerd --version 2>/dev/null | awk '{print $3}'
  # Settings count once containerd has started after they were written.
  echo '@@ containerd-config'
  if test -e /etc/containerd/config.toml; then
    started=$(systemctl show --value --property=ActiveEnterTimestampMonotonic containerd.service 2>/dev/null)
    uptime=$(awk '{printf "%d", $1 * 1000000}' /proc/uptime)
    now=$(date +%s%6N)
    written=$(( $(date -r /etc/containerd/config.toml +%s%6N) ))
    if test "${started:-0}" -gt 0 && test $(( now - uptime + started )) -gt "$written"; then echo loaded; else echo stale; fi
  fi

  # Only a host that is no node yet is asked: whatever a node runs has been pulled.
  echo '@@ pulled'
  if ! test -e /etc/kubernetes/kubelet.conf && test -S /run/containerd/containerd.sock; then
    timeout 10 ctr --namespace k8s.io images list --quiet 2>/dev/null
  fi
  echo '@@ images'
  if command -v kubeadm >/dev/null; then
    kubeadm config images list --kubernetes-version 1.36.3 --image-repository registry.k8s.io 2>/dev/null
  fi
  # The repository is asked only while the wanted version is not installed yet.
  if ! at_version kubeadm; then
    if ! command -v curl >/dev/null; then
      printf '@@ available-problem\ncurl is not installed\n'
    elif listing=$(curl -fsSL --max-time 15 http://10.77.0.1:8080/core:/stable:/v1.36/deb/Packages 2>&1); then
      echo '@@ available'
      awk '$1 == "Package:" {name = $2} $1 == "Version:" && name == "kubeadm" {print $2}' <<<"$listing"
    else
      printf '@@ available-problem\n%s\n' "$listing"
    fi
  fi

  # haproxy_says prints what HAProxy answers to a command, by its runtime API. perl-base is essential; socat is not.
  haproxy_says() {
    perl -MSocket -e '
      socket my $haproxy, PF_UNIX, SOCK_STREAM, 0 or die "socket: $!\n";
      connect $haproxy, sockaddr_un(shift) or die "HAProxy: $!\n";
      syswrite $haproxy, "@ARGV\n";
      print while <$haproxy>' /run/haproxy/admin.sock "$@"
  }
  # The fourth word of a server is its name, the seventh its state by an administrator's will: 1 is maint, 8 is drain.
  if test -S /run/haproxy/admin.sock; then
    echo '@@ haproxy-unused'
    haproxy_says show servers state kube-apiserver 2>/dev/null |
      awk '$2 == "kube-apiserver" && ($7 % 2 || int($7 / 8) % 2) {print $4}'
  fi

  # etcd's own words, asked of its HTTP side: etcdctl is in its image alone.
  if test -e /etc/kubernetes/manifests/etcd.yaml && command -v curl >/dev/null; then
    echo '@@ etcd-members'
    ask_etcd cluster/member/list
  fi

  # What an upgrade has to know is asked while one is due.
  if test -e /etc/kubernetes/kubelet.conf && upgrade_due; then
    echo '@@ files'
    show_files /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet
    echo '@@ certificates'
    files /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /etc/kubernetes/*.conf \
      /var/lib/kubelet/pki/kubelet-client-current.pem
    # The first certificate of each file, and nothing else: some of them hold keys.
    awk 'FNR == 1 {on = done = 0; body = ""}
      done {next}
      /^-----BEGIN CERTIFICATE-----/ {on = 1; next}
      /^-----END CERTIFICATE-----/ {print FILENAME "\t" body; done = 1; next}
      on {body = body $0}
      $1 == "client-certificate-data:" {print FILENAME "\t" $2; done = 1}' "${found[@]}"
    if test -e /etc/kubernetes/manifests/kube-apiserver.yaml; then
      echo '@@ etcd-status'
      ask_etcd maintenance/status maintenance/alarm
      echo '@@ api-metrics'
      curl -s --noproxy '*' --max-time 10 --cacert /etc/kubernetes/pki/ca.crt --cert <(administrator certificate) \
        --key <(administrator key) --resolve kubernetes:6443:127.0.0.1 https://kubernetes:6443/metrics |
        grep -E '^(apiserver_requested_deprecated_apis|kubernetes_feature_enabled)'
    fi
    echo '@@ outlook'
  fi

  echo '@@ busy'
  if test -e /run/clusterctl/lock && ! flock -n -s /run/clusterctl/lock true; then cat /run/clusterctl/running; fi
  echo '@@ clock'; date +%s.%N
  echo '@@ end'
}
# One answer, not a line at a time: each write is a message, which costs either side more than most of the looking.
answer=$(main </dev/null)
printf '%s\n' "$answer"
