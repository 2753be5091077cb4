"""Check the network plugin's version."""

from clusterctl.model.inventory import CalicoNetwork
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules.network import CALICO_NODE, FLANNEL
from clusterctl.rules.versions import minor
from clusterctl.steps.finding import Finding

# The newest Kubernetes that a release of Calico is tested with, by its documentation.
_CALICO = {(3, 29): (1, 32), (3, 31): (1, 35), (3, 32): (1, 36), (3, 33): (1, 37)}


class NetworkPlugin(Finding):
    """The network plugin is tested with the new Kubernetes."""

    name = "upgrade/network-plugin"
    title = "Check the network plugin's version"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """Calico's documentation names Kubernetes' versions; flannel's does not. The inventory's is brought before."""
        api, wanted = situation.api, situation.cluster.minor
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if api is None:
            return Unknown(situation.api_problem)
        if api.calico is not None and CALICO_NODE in api.workloads:
            network = situation.cluster.network
            version = network.version if isinstance(network, CalicoNetwork) else api.calico.version
            newest = _CALICO.get(minor(version)) if version else None
            if newest is None:
                return Satisfied(
                    f"Calico {version or 'of an unknown version'}: see whether it knows {wanted}", warning=True
                )
            if minor(wanted) > newest:
                return Blocked(
                    f"Calico {version} is tested with Kubernetes up to {newest[0]}.{newest[1]}, not with {wanted}",
                    "set cluster.network.version to a newer release: the upgrade brings it before",
                )
            before = f" in place of {api.calico.version}" if version != api.calico.version else ""
            return Satisfied(f"Calico {version}{before} knows {wanted}")
        if flannel := api.workloads.get(FLANNEL):
            image = next(iter(flannel.images), "").rpartition("/")[2]
            return Satisfied(f"{image or 'flannel'}, which names no versions of Kubernetes")
        return Satisfied(f"a plugin that clusterctl does not know: see whether it knows {wanted}", warning=True)
