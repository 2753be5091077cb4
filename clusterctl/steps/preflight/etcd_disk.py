"""Check that the disk is fast enough for etcd."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding

# Milliseconds. etcd asks for a 99th percentile below 10. A hundred writes make a noisy one, so the median decides:
# a disk whose usual write takes that long is too slow, one with a slow write now and then is worth a second look.
_FSYNC_GOOD, _FSYNC_BAD = 10.0, 10.0


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
