"""Check the version of cgroups."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules.versions import minor
from clusterctl.steps.finding import Finding


class Cgroups(Finding):
    """The new kubelet runs on this host's version of cgroups."""

    name = "upgrade/cgroups"
    title = "Check the version of cgroups"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """A kubelet of 1.35 or newer ends at once on cgroup v1, unless its configuration says otherwise."""
        facts, api = situation.facts, situation.api
        if facts.cgroup != "v1" or minor(situation.cluster.kubernetes) < (1, 35):
            return Satisfied(f"cgroup {facts.cgroup}")
        if api is None:
            return Unknown(situation.api_problem)
        if api.settings.get("KubeletConfiguration", {}).get("failCgroupV1") is not False:
            return Blocked(
                f"the host has cgroup v1, with which a kubelet of {situation.cluster.minor} does not start",
                "boot it with cgroup v2 (systemd.unified_cgroup_hierarchy=1); or say failCgroupV1: false in its "
                "settings: kubectl -n kube-system edit configmap kubelet-config",
            )
        return Satisfied("cgroup v1, and failCgroupV1 is false")
