"""Install the network plugin flannel."""

from clusterctl.model.inventory import FlannelNetwork
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import document
from clusterctl.rules.network import FLANNEL, other_plugin
from clusterctl.steps.network.plugin import no_api, not_chosen
from clusterctl.steps.step import Step, Tools


class Flannel(Step):
    """flannel's objects are in the cluster as the inventory wants them."""

    name = "network/flannel"
    title = "Install the network plugin flannel"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The digest that the last apply left on the DaemonSet tells which manifest is in force."""
        network = situation.cluster.network
        if not isinstance(network, FlannelNetwork):
            return not_chosen(situation)
        if situation.api is None:
            return no_api(situation)
        if other := other_plugin(situation.api, network.plugin):
            return other
        daemon_set = situation.api.workloads.get(FLANNEL)
        if daemon_set is None:
            return Needed("flannel is not installed")
        if daemon_set.digest != manifest_digest(self.preview(situation)):
            return Needed("flannel's manifest differs from what is wanted")
        return Satisfied(f"flannel {network.version}, VXLAN, {situation.cluster.pod_cidr}")

    def preview(self, situation: Situation) -> str:
        """The manifest."""
        cluster = situation.cluster
        if not isinstance(cluster.network, FlannelNetwork):
            return ""
        return document("network/flannel.yaml.j2", pod_cidr=cluster.pod_cidr, version=cluster.network.version)

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply."""
        tools.cluster().apply(self.preview(situation))
