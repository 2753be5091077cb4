"""Compare ``clusterctl lab up`` with the shortest script that boots the same machines.

    sudo python benchmarks/lab_up.py [--machines 4] [--runs 5]

Each run starts the script's machines and the lab's, one after the other, and takes both down again. Only the
time until every machine answers SSH counts. Needs what ``clusterctl lab up`` needs, and a filled cache.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clusterctl.lab.progress import Told, Working
from clusterctl.lab.sources import build_modules, from_modules

# What somebody would type: nothing is checked, recorded or put back, and only cgroup v1 is known. "SSH answers" means
# the same in both: that a login works.
BARE = r"""
set -eu
rootfs=$1 work=$2 count=$3
sysctl -q net.ipv4.ip_forward=1
ip link add bare0 type bridge
ip address add 10.79.0.1/24 dev bare0
ip link set bare0 up
iptables -t nat -A POSTROUTING -s 10.79.0.0/24 ! -d 10.79.0.0/24 -m comment --comment bare-lab -j MASQUERADE
ssh-keygen -q -t ed25519 -N '' -f "$work/id"
boot() {
  for mount in $(awk '$3 == "cgroup" {print $2}' /proc/mounts); do
    own=$mount
    case $mount in */memory) own=$mount$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup) ;; esac
    mkdir -p "$own/bare-$1"
    case $mount in *cpuset*) for f in cpus mems; do cat "$own/cpuset.$f" >"$own/bare-$1/cpuset.$f"; done ;; esac
    sh -c "echo \$PPID" >"$own/bare-$1/cgroup.procs"
  done
  exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 systemd-nspawn --quiet --boot \
    --register=no --keep-unit -D "$work/$1/root" -M "$1" --network-namespace-path="/run/netns/bare-$1" \
    --capability=all --private-users=no --system-call-filter='add_key keyctl bpf perf_event_open @swap' \
    --bind=/dev/kmsg --bind="$work/$1/containerd:/var/lib/containerd" --bind="$work/$1/kubelet:/var/lib/kubelet"
}
for n in $(seq "$count"); do
  d=$work/m$n
  mkdir -p "$d/upper/etc/ssh" "$d/upper/etc/systemd/system/ssh.service.d" "$d/upper/home/admin/.ssh"
  mkdir -p "$d/work" "$d/root" "$d/containerd" "$d/kubelet"
  tr -d - </proc/sys/kernel/random/uuid >"$d/upper/etc/machine-id"
  echo "m$n" >"$d/upper/etc/hostname"
  printf '127.0.0.1 localhost\n10.79.0.1%s m%s\n' "$n" "$n" >"$d/upper/etc/hosts"
  cp /etc/resolv.conf "$d/upper/etc/"
  printf '[Unit]\nAfter=systemd-user-sessions.service\n' >"$d/upper/etc/systemd/system/ssh.service.d/after.conf"
  ssh-keygen -q -t ed25519 -N '' -f "$d/upper/etc/ssh/ssh_host_ed25519_key"
  cp "$work/id.pub" "$d/upper/home/admin/.ssh/authorized_keys"
  mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$d/upper,workdir=$d/work" "$d/root"
  ip netns add "bare-m$n"
  ip link add "bare0-m$n" master bare0 type veth peer name eth0 netns "bare-m$n"
  ip link set "bare0-m$n" up
  ip -n "bare-m$n" link set lo up
  ip -n "bare-m$n" address add "10.79.0.1$n/24" dev eth0
  ip -n "bare-m$n" link set eth0 up
  ip -n "bare-m$n" route add default via 10.79.0.1
  (boot "m$n") </dev/null >"$d/console.log" 2>&1 &
  echo "$!" >"$d/pid"
done
for n in $(seq "$count"); do
  until timeout 1 bash -c "head -c4 </dev/tcp/10.79.0.1$n/22" 2>/dev/null | grep -q SSH-; do sleep 0.05; done
done
"""

CLEAN = r"""
work=$1
# A killed systemd-nspawn leaves the machine running: whatever is in the machine's groups goes as well.
for file in "$work"/m*/pid; do kill -9 "$(cat "$file")"; done 2>/dev/null
for file in /sys/fs/cgroup/pids/bare-m*/cgroup.procs; do kill -9 $(cat "$file"); done 2>/dev/null
sleep 0.5
for d in "$work"/m*; do
  ip link delete "bare0-${d##*/}"
  ip netns delete "bare-${d##*/}"
  umount "$d/root"
done
find /sys/fs/cgroup -depth -path '*/bare-m*' -type d -exec rmdir {} +
ip link delete bare0
iptables -t nat -D POSTROUTING -s 10.79.0.0/24 ! -d 10.79.0.0/24 -m comment --comment bare-lab -j MASQUERADE
rm -rf "$work"
"""


def bare(rootfs: Path, machines: int) -> float:
    """Run the script; return the seconds until all machines answered."""
    work = tempfile.mkdtemp(prefix="bare-lab-")
    try:
        started = time.monotonic()
        subprocess.run(["bash", "-c", BARE, "bare", str(rootfs), work, str(machines)], check=True)
        return time.monotonic() - started
    finally:
        subprocess.run(["bash", "-c", CLEAN, "bare", work], check=False)


def clusterctl(machines: int, sources: str) -> float:
    """Run the command; return the seconds until it came back."""
    command = [sys.executable, "-c", "from clusterctl.cli import main; main()", "lab"]
    try:
        started = time.monotonic()
        subprocess.run(
            [*command, "up", "--name=benchmark", f"--workers={machines - 1}", f"--sources={sources}"],
            check=True,
            capture_output=True,
        )
        return time.monotonic() - started
    finally:
        subprocess.run([*command, "down", "--name=benchmark"], check=True, capture_output=True)


def tell(event: Working | Told) -> None:
    """Say what is built when the cache is not filled yet."""
    if isinstance(event, Told):
        print(event.text, file=sys.stderr)


def main() -> int:
    """Measure, and compare the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--kubernetes", default="1.36.3")
    asked = parser.parse_args()
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    build_modules((asked.kubernetes,), tell)
    rootfs = from_modules((asked.kubernetes,), tell).rootfs
    times: dict[str, list[float]] = {"bare script": [], "clusterctl lab up": []}
    for number in range(asked.runs):
        times["bare script"].append(bare(rootfs, asked.machines))
        times["clusterctl lab up"].append(clusterctl(asked.machines, "modules"))
        print(f"run {number + 1}: " + ", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in times.items()))
    Path("/proc/sys/net/ipv4/ip_forward").write_text(before)
    script, ours = (statistics.median(taken) for taken in times.values())
    cores = os.cpu_count()
    print(f"{asked.machines} machines on {cores} cores, medians of {asked.runs} pairs:")
    print(f"  bare script {script:.2f} s, clusterctl lab up {ours:.2f} s: {ours / script:.2f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
