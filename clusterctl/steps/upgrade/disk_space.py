"""Check the disk space."""

from clusterctl.model.places import ETCD_COPIES, ROOM
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.disks import shortages
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import AT_TARGET


class DiskSpace(Finding):
    """There is room for the new images and packages, and for the copies of etcd that are made on the way."""

    name = "upgrade/disk-space"
    title = "Check the disk space"

    def find(self, situation: Situation) -> Verdict:
        """Directories of one file system share what is free there."""
        outlook, disks = situation.facts.outlook, situation.facts.disks
        if outlook is None:
            return AT_TARGET
        wanted = dict(ROOM)
        if situation.host.role == "control-plane":
            size = outlook.etcd.size >> 20 if outlook.etcd else 0
            wanted |= {path: size + spare for path, spare in ETCD_COPIES.items()}
        if short := shortages(wanted, disks):
            return Blocked("; ".join(short), "make room: df -h; sudo du -xhd1 /var | sort -h; sudo apt-get clean")
        return Satisfied(f"{min((disks[path].free_mib for path in wanted if path in disks), default=0)} MiB free")
