"""Tell Calico's operator which network to make."""

from collections.abc import Mapping
from typing import Any

from clusterctl.errors import InputError
from clusterctl.model.inventory import CalicoNetwork
from clusterctl.model.inventory.network import pool_problem
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import document
from clusterctl.rules.settings import difference, merge
from clusterctl.steps.network.plugin import no_api, not_chosen
from clusterctl.steps.step import Step, Tools


class Calico(Step):
    """The operator is told what network to make: an Installation and an APIServer."""

    name = "network/calico"
    title = "Tell Calico's operator which network to make"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Every field that the inventory wants has to be in the Installation; the operator adds others."""
        network, api = situation.cluster.network, situation.api
        if not isinstance(network, CalicoNetwork):
            return not_chosen(situation)
        if api is None:
            return no_api(situation)
        if api.calico is None or api.calico.installation is None:
            return Needed("there is no Installation")
        wanted = installation(situation)
        if blocked := _pools(api.calico.installation, wanted, situation.cluster.pod_cidr):
            return blocked
        if place := difference(api.calico.installation, wanted, "spec"):
            return Needed(f"the Installation differs at {place}")
        if not api.calico.api_server:
            return Needed("there is no APIServer")
        return Satisfied(f"{network.encapsulation}, {situation.cluster.pod_cidr}")

    def preview(self, situation: Situation) -> str:
        """The two objects."""
        if not isinstance(situation.cluster.network, CalicoNetwork):
            return ""
        return document("network/calico.yaml.j2", installation=installation(situation))

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply."""
        tools.cluster().apply(self.preview(situation))


def installation(situation: Situation) -> dict[str, Any]:
    """The spec of Calico's Installation; what the inventory passes through wins."""
    cluster = situation.cluster
    network = cluster.network
    if not isinstance(network, CalicoNetwork):
        raise InputError(f"the inventory chooses {network.plugin}, not calico")
    family = "V6" if ":" in cluster.pod_cidr else "V4"
    calico: dict[str, Any] = {
        "bgp": "Disabled",
        "ipPools": [
            {
                "cidr": cluster.pod_cidr,
                "encapsulation": network.encapsulation,
                "natOutgoing": "Enabled",
                "blockSize": 26 if family == "V4" else 122,
                "nodeSelector": "all()",
            }
        ],
        f"nodeAddressAutodetection{family}": {"kubernetes": "NodeInternalIP"},
    }
    if network.mtu != "auto":
        calico["mtu"] = network.mtu
    spec: dict[str, Any] = {"variant": "Calico", "calicoNetwork": calico}
    if network.registry:
        spec["registry"] = network.registry
    if network.kubelet_volume_plugin_path:
        spec["kubeletVolumePluginPath"] = network.kubelet_volume_plugin_path
    return merge(spec, network.installation)


def _pools(found: Mapping[str, Any], wanted: Mapping[str, Any], pod_cidr: str) -> Blocked | None:
    """A pool outside the pod network is none that kube-proxy and the nodes know, though Calico accepts it."""

    def cidrs(spec: Mapping[str, Any]) -> list[str]:
        pools = (spec.get("calicoNetwork") or {}).get("ipPools") or []
        return [str(pool.get("cidr")) for pool in pools]

    for cidr in cidrs(found):
        if problem := pool_problem(cidr, pod_cidr):
            return Blocked(
                f"Calico's Installation has a pool that does not fit: {problem}",
                "look at it: kubectl get installation default -o yaml; set cluster.pod_cidr to what kubeadm was given "
                "(kubectl -n kube-system get configmap kubeadm-config -o yaml), or remove the pool",
            )
    gone = [cidr for cidr in cidrs(found) if cidr not in cidrs(wanted)]
    if gone:
        return Blocked(
            f"Calico's pool {gone[0]} is not among those of the inventory: {', '.join(cidrs(wanted))}",
            "a pool cannot be changed while pods have its addresses: set cluster.pod_cidr back, or name every pool in "
            "cluster.network.installation.calicoNetwork.ipPools",
        )
    return None
