"""Check the kubelet's version."""

from collections.abc import Iterator

from clusterctl.model.facts import ClusterFacts
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules.versions import at_least, minor, minor_text, parse
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import SKEW, is_first, own_nodes


class Skew(Finding):
    """The kubelet will not be too old for the new API server, nor newer than it."""

    name = "upgrade/skew"
    title = "Check the kubelet's version"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """The kubelet that runs, and that which is installed and may run after any restart."""
        api, wanted = situation.api, situation.cluster.kubernetes
        if api is None:
            return Unknown(situation.api_problem)
        strangers = list(_old_strangers(situation, api)) if is_first(situation) else []
        if strangers:
            return Blocked(
                f"nodes that are not in the inventory are too old for {wanted}: {', '.join(strangers)}",
                "add them to the inventory, or delete nodes that are gone: kubectl delete node NAME",
            )
        node = situation.node
        package = situation.facts.packages.get("kubelet")
        versions = [node.kubelet_version if node else "", package.version.partition("-")[0] if package else ""]
        known = [version for version in versions if at_least(version, "0.0.0")]
        if not known:
            return Blocked(
                "no kubelet is known here", f"look at it: ssh {situation.host.address} systemctl status kubelet"
            )
        oldest, newest = min(known, key=parse), max(known, key=parse)
        if minor(wanted)[1] - minor(oldest)[1] > SKEW:
            return Blocked(
                f"the kubelet is {oldest}; an API server of {minor_text(wanted)} works with kubelets of "
                f"1.{minor(wanted)[1] - SKEW} and newer",
                "let the workers follow before: clusterctl upgrade to a version in between, with --workers every-hop",
            )
        if not at_least(wanted, newest):
            return Satisfied(
                f"the kubelet {newest} is newer than {wanted} and is never lowered; it may not be newer than its API "
                f"server: upgrade to {newest} next",
                warning=True,
            )
        if not at_least(api.version, newest):
            return Satisfied(
                f"the kubelet {newest} is newer than the API server {api.version}, which Kubernetes does not support: "
                "finishing this upgrade puts it right",
                warning=True,
            )
        return Satisfied(f"kubelet {oldest}")


def _old_strangers(situation: Situation, api: ClusterFacts) -> Iterator[str]:
    wanted = minor(situation.cluster.kubernetes)
    for name, node in sorted(api.nodes.items()):
        version = node.kubelet_version
        if name not in own_nodes(situation) and at_least(version, "0.0.0") and wanted[1] - minor(version)[1] > SKEW:
            yield f"{name} ({version})"
