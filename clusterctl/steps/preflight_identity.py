"""Findings about what a host is: its names and keys, its clock, its disks. Clones of a machine share most of them."""

from collections.abc import Callable, Hashable
from statistics import median_low

from clusterctl.model.facts import Disk, HostFacts
from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import A_NODE, Finding, is_node, shortages

# MiB for what a node keeps there: images and containers, pods' volumes and logs, etcd's default quota.
DISKS = {"/var/lib/containerd": 4096, "/var/lib/kubelet": 1024, "/var/lib/etcd": 2048}
_ETCD = "/var/lib/etcd"

TIME_SERVICES = (
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntpsec.service",
    "ntp.service",
    "ntpd.service",
    "openntpd.service",
)
# Seconds between the clocks of two hosts: etcd complains from the first on, tokens and leases suffer from the second.
_SKEW_WARNS, _SKEW_BLOCKS = 1.0, 5.0
# kubeadm's certificates begin five minutes before they are made.
_OURS = 300.0

# Milliseconds. etcd asks for a 99th percentile below 10. A hundred writes make a noisy one, so the median decides:
# a disk whose usual write takes that long is too slow, one with a slow write now and then is worth a second look.
_FSYNC_GOOD, _FSYNC_BAD = 10.0, 10.0


class HostName(Finding):
    """The host name belongs to this host alone, and a node can have it."""

    name = "preflight/hostname"
    title = "Check the host name"

    def find(self, situation: Situation) -> Verdict:
        """A DNS name that no other host has, in whatever case."""
        facts = situation.facts
        rename = "name it: sudo hostnamectl set-hostname NAME"
        if facts.hostname in ("", "localhost", "(none)"):
            return Blocked("the host has no name", rename)
        if "_" in facts.hostname:
            return Blocked(f"the host name {facts.hostname} is no DNS name", f"re{rename}")
        if twins := _twins(situation, lambda other: other.hostname.lower()):
            return Blocked(
                f"{twins} the same host name, {facts.hostname}",
                "give each host its own: sudo hostnamectl set-hostname NAME",
            )
        return Satisfied(f"host name {facts.hostname}")


class MachineId(Finding):
    """The machine-id, by which systemd, DHCP and some network plugins know a machine, is this host's alone."""

    name = "preflight/machine-id"
    title = "Check the machine-id"

    def find(self, situation: Situation) -> Verdict:
        """Clones share it."""
        if not situation.facts.machine_id:
            return Blocked("/etc/machine-id is empty", "make one: sudo systemd-machine-id-setup; then reboot the host")
        if twins := _twins(situation, lambda other: other.machine_id):
            return Blocked(
                f"{twins} the same machine-id: they are clones",
                "make a new one: sudo rm -f /etc/machine-id /var/lib/dbus/machine-id; "
                "sudo systemd-machine-id-setup; then reboot the host",
            )
        return Satisfied(situation.facts.machine_id)


class ProductUuid(Finding):
    """The firmware's identity is this host's alone, where there is one."""

    name = "preflight/product-uuid"
    title = "Check the firmware's product_uuid"

    def find(self, situation: Situation) -> Verdict:
        """kubeadm's own requirement."""
        if not situation.facts.product_uuid:
            return Satisfied("the firmware gives none")
        if twins := _twins(situation, lambda other: other.product_uuid):
            return Blocked(
                f"{twins} the same product_uuid, {situation.facts.product_uuid}",
                "let the hypervisor give each machine its own; sudo cat /sys/class/dmi/id/product_uuid shows it",
            )
        return Satisfied(situation.facts.product_uuid)


class MacAddress(Finding):
    """The network interface of the node's address has a MAC address of its own."""

    name = "preflight/mac-address"
    title = "Check the MAC address"

    def find(self, situation: Situation) -> Verdict:
        """Only the interface that carries the node's address: virtual ones may be alike everywhere."""
        link = situation.facts.links.get(situation.node_address)
        if link is None or not link.mac:
            return Satisfied("the interface has none")
        twins = sorted(
            name
            for name, facts in situation.all_facts.items()
            if name != situation.host.name
            and (other := facts.links.get(node_address(situation.inventory.host(name), facts, situation.cluster)))
            and other.mac == link.mac
        )
        if twins:
            return Blocked(
                f"{_have(twins)} the same MAC address, {link.mac}",
                "let the hypervisor make a new one for the clone's network adapter",
            )
        return Satisfied(f"{link.name} has {link.mac}")


class HostKeys(Finding):
    """The SSH server's keys are this host's alone: whoever has the same keys can pose as this host."""

    name = "preflight/ssh-host-keys"
    title = "Check the SSH server's keys"

    def find(self, situation: Situation) -> Verdict:
        """Any key in common, of any type."""
        mine = situation.facts.host_keys
        twins = sorted(
            name
            for name, facts in situation.all_facts.items()
            if name != situation.host.name and mine & facts.host_keys
        )
        if twins:
            shared = sorted({key.split()[0] for name in twins for key in mine & situation.all_facts[name].host_keys})
            return Blocked(
                f"{_have(twins)} the same SSH host key ({', '.join(shared)}): they are clones",
                "make new ones on all but one of them: sudo rm /etc/ssh/ssh_host_*_key*; sudo ssh-keygen -A; "
                "sudo systemctl restart ssh; then: clusterctl hosts trust --replace HOST",
            )
        return Satisfied(f"{len(mine)} keys of its own")


class Clock(Finding):
    """The hosts agree about the time."""

    name = "preflight/clock"
    title = "Check the clock"

    def find(self, situation: Situation) -> Verdict:
        """Compare with the host in the middle; how long the answers took is counted in the host's favour."""
        clock = situation.facts.clock
        known = [facts.clock for facts in situation.all_facts.values() if facts.clock]
        if clock is None:
            return Satisfied("not measured")
        middle = median_low(each.ahead for each in known)
        doubt = clock.doubt + next(each.doubt for each in known if each.ahead == middle)
        skew = clock.ahead - middle
        certain = max(0.0, abs(skew) - doubt) if clock.ahead != middle else 0.0
        direction = "ahead of" if skew > 0 else "behind"
        if certain > _SKEW_WARNS:
            text = f"the clock is {abs(skew):.1f} s {direction} the other hosts' (±{doubt:.1f} s)"
            if certain > _SKEW_BLOCKS:
                return Blocked(
                    text,
                    "set it right and keep it so: sudo apt-get install systemd-timesyncd; timedatectl timesync-status",
                )
            return Satisfied(f"{text}; etcd complains from 1 s on", warning=True)
        if abs(clock.ahead) - clock.doubt > _OURS:
            side = "ahead of" if clock.ahead > 0 else "behind"
            return Satisfied(
                f"the hosts' clocks are {abs(clock.ahead):.0f} s {side} this computer's: certificates may not be "
                "valid here yet or any more",
                warning=True,
            )
        return Satisfied(f"within {abs(skew) + doubt:.1f} s of the other hosts")


class TimeService(Finding):
    """Something keeps the clock right."""

    name = "preflight/time-service"
    title = "Check for a time service"

    def find(self, situation: Situation) -> Verdict:
        """A warning only: a hypervisor may keep the time, which no service shows."""
        services = situation.facts.services
        running = [name for name in TIME_SERVICES if name in services and services[name].active == "active"]
        if running:
            return Satisfied(running[0])
        return Satisfied(
            "no time service runs; unless the hypervisor keeps the time: sudo apt-get install systemd-timesyncd",
            warning=True,
        )


class DiskSpace(Finding):
    """There is room for images, pods and etcd."""

    name = "preflight/disk-space"
    title = "Check the disk space"

    def find(self, situation: Situation) -> Verdict:
        """Directories of one file system share what is free there; a node's disk is its own kubelet's business."""
        if is_node(situation):
            return A_NODE
        wanted = {path: size for path, size in DISKS.items() if path != _ETCD or situation.host.role == "control-plane"}
        disks = situation.facts.disks
        if short := shortages(wanted, disks):
            return Blocked(
                "; ".join(short), "make room, or mount a larger disk there: df -h; sudo du -xhd1 /var | sort -h"
            )
        return _evicting(
            situation, [disks[path] for path in ("/var/lib/kubelet", "/var/lib/containerd") if path in disks]
        )


def _evicting(situation: Situation, disks: list[Disk]) -> Verdict:
    """The kubelet evicts pods below a share of its disk, unless the inventory sets other bounds."""
    low = [disk for disk in disks if disk.size_mib and disk.free_mib / disk.size_mib < 0.15]
    if low and "evictionHard" not in situation.cluster.kubelet:
        percent = 100 * low[0].free_mib // low[0].size_mib
        return Satisfied(f"{low[0].mounted} has {percent} % left: the kubelet evicts pods below 15 %", warning=True)
    return Satisfied(f"{min((disk.free_mib for disk in disks), default=0)} MiB free")


class EtcdDisk(Finding):
    """The disk of a control plane makes etcd's writes durable in time."""

    name = "preflight/etcd-disk"
    title = "Check that the disk is fast enough for etcd"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """The median decides, the 99th percentile warns."""
        fsync = situation.survey.fsync if situation.survey else None
        if is_node(situation):
            return A_NODE
        if situation.host.role != "control-plane":
            return Satisfied("no etcd on a worker")
        if fsync is None:
            return Satisfied("not measured", warning=True)
        figures = f"{fsync.count} writes of 2 KiB: median {fsync.median:.1f} ms, 99 % within {fsync.p99:.1f} ms"
        if fsync.median > _FSYNC_BAD:
            return Blocked(
                f"the disk below /var/lib/etcd is slow: {figures}; etcd wants 99 % within 10 ms",
                "mount a local SSD at /var/lib/etcd; a busy or remote disk costs leader elections",
            )
        if fsync.p99 > _FSYNC_GOOD:
            return Satisfied(f"{figures}; etcd wants 99 % within 10 ms", warning=True)
        return Satisfied(figures)


def _twins(situation: Situation, key: Callable[[HostFacts], Hashable]) -> str:
    """Who else has the same, as the beginning of a sentence; empty when nobody has."""
    mine = key(situation.facts)
    return _have(
        sorted(
            name for name, facts in situation.all_facts.items() if name != situation.host.name and key(facts) == mine
        )
    )


def _have(names: list[str]) -> str:
    if not names:
        return ""
    return f"{names[0]} has" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} have"
