"""What fits on a host's disks. Pure."""

from collections.abc import Mapping

from clusterctl.model.facts import Disk


def shortages(wanted: Mapping[str, int], disks: Mapping[str, Disk]) -> list[str]:
    """Where less is free than ``wanted``, in MiB, for the directories of one file system together."""
    short = []
    for mounted in dict.fromkeys(disks[path].mounted for path in wanted if path in disks):
        paths = [path for path in wanted if path in disks and disks[path].mounted == mounted]
        need, disk = sum(wanted[path] for path in paths), disks[paths[0]]
        if disk.free_mib < need:
            short.append(f"{disk.free_mib} MiB free for {' and '.join(paths)} (on {mounted}), {need} wanted")
    return short
