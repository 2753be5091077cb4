"""Check the disk space."""

from clusterctl.model.facts import Disk
from clusterctl.model.places import DISKS
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.disks import shortages
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding

_ETCD = "/var/lib/etcd"


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
