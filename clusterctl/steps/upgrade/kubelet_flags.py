"""Check the kubelet's flags."""

import shlex

from clusterctl.model.places import KUBELET_ENVIRONMENT
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import removed_by

# The kubelet's flags, by the minor without them: it does not start with one. --pod-infra-container-image, which 1.35
# gave up, is taken out by kubeadm.
_KUBELET_FLAGS = {
    (1, 37): (
        "application-metrics-count-limit",
        "boot-id-file",
        "container-hints",
        "containerd",
        "containerd-namespace",
        "enable-load-reader",
        "event-storage-age-limit",
        "event-storage-event-limit",
        "global-housekeeping-interval",
        "log-cadvisor-usage",
        "machine-id-file",
        "storage-driver-buffer-duration",
        "storage-driver-db",
        "storage-driver-host",
        "storage-driver-password",
        "storage-driver-secure",
        "storage-driver-table",
        "storage-driver-user",
    ),
}


class KubeletFlags(Finding):
    """The kubelet's flags are ones that the new version knows."""

    name = "upgrade/kubelet-flags"
    title = "Check the kubelet's flags"

    def find(self, situation: Situation) -> Verdict:
        """Those of kubeadm and those of the operator."""
        words = [
            word.strip("\"'").lstrip("-").partition("=")[0]
            for path in KUBELET_ENVIRONMENT
            for line in (situation.facts.file(path) or "").splitlines()
            if not line.startswith("#")
            for word in line.partition("=")[2].split()
        ]
        gone = sorted(set(removed_by(_KUBELET_FLAGS, situation)) & set(words))
        if gone:
            return Blocked(
                f"the kubelet of {situation.cluster.minor} does not start with --{', --'.join(gone)}",
                f"take it out on this host: {' or '.join(map(shlex.quote, KUBELET_ENVIRONMENT))}",
            )
        return Satisfied("nothing is known against them")
