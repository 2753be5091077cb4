"""The pod network plugin. The steps of a plugin that the inventory does not choose are satisfied."""

import re
from collections.abc import Mapping
from typing import Any

from clusterctl.errors import InputError
from clusterctl.model.facts import CalicoFacts, ClusterFacts, ComponentStatus, Workload
from clusterctl.model.inventory import CalicoNetwork, FlannelNetwork, ManifestsNetwork, Source, pool_problem
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import document
from clusterctl.steps.runtime import merge
from clusterctl.steps.step import Step, Tools

FLANNEL = "kube-flannel/DaemonSet/kube-flannel-ds"
OPERATOR = "tigera-operator/Deployment/tigera-operator"
CALICO_NODE = "calico-system/DaemonSet/calico-node"
# The collections without which the operator cannot be told anything.
CALICO_KINDS = frozenset({"installations", "apiservers", "tigerastatuses"})

CRDS_RECORD, OPERATOR_RECORD, MANIFESTS_RECORD = "network/calico-crds", "network/calico-operator", "network/manifests"
_OPERATOR_IMAGE = re.compile(r"^(\s*image:\s*)quay\.io/(tigera/operator:\S+)", re.MULTILINE)
# What the operator reports of, and of whose generation: others are nothing that clusterctl asked for.
_EXPECTED = {"calico": "installation", "apiserver": "api_server"}
_IF_THERE = {"ippools": "installation", "tiers": ""}
_SHOWN = 3


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
            return _not_chosen(situation)
        if situation.api is None:
            return _no_api(situation)
        if other := _other_plugin(situation.api, network.plugin):
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


class CalicoCrds(Step):
    """The kinds of Calico's operator are defined."""

    name = CRDS_RECORD
    title = "Define the kinds of Calico's operator"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The record of the last apply, and what the API serves."""
        network = situation.cluster.network
        if not isinstance(network, CalicoNetwork):
            return _not_chosen(situation)
        if situation.api is None:
            return _no_api(situation)
        if other := _other_plugin(situation.api, network.plugin):
            return other
        if problem := _not_applied(situation.api, self.name, _digest(network.operator_crds)):
            return Needed(problem)
        missing = CALICO_KINDS - (situation.api.calico.kinds if situation.api.calico else frozenset())
        if missing:
            return Needed(f"the API does not serve {', '.join(sorted(missing))}")
        return Satisfied(f"those of {network.operator_crds}")

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The release's definitions."""
        network = situation.cluster.network
        return (network.operator_crds,) if isinstance(network, CalicoNetwork) else ()

    def preview(self, situation: Situation) -> str:
        """Which manifest; its text is megabytes."""
        return _named(self.sources(situation))

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply: a definition is too large for the annotation of a client-side one."""
        for source in self.sources(situation):
            tools.cluster().apply(tools.fetch(source), record=self.name, digest=_digest(source))


class CalicoOperator(Step):
    """Calico's operator is in the cluster."""

    name = OPERATOR_RECORD
    title = "Install Calico's operator"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The record of the last apply, and the Deployment; whether its pod runs is ``network/ready``'s matter."""
        network = situation.cluster.network
        if not isinstance(network, CalicoNetwork):
            return _not_chosen(situation)
        if situation.api is None:
            return _no_api(situation)
        if problem := _not_applied(situation.api, self.name, _operator_digest(network)):
            return Needed(problem)
        if OPERATOR not in situation.api.workloads:
            return Needed(f"{OPERATOR} is gone")
        return Satisfied(f"Calico {network.version}")

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The release's manifest."""
        network = situation.cluster.network
        return (network.operator,) if isinstance(network, CalicoNetwork) else ()

    def preview(self, situation: Situation) -> str:
        """Which manifest, and what is changed in it."""
        network = situation.cluster.network
        text = _named(self.sources(situation))
        if isinstance(network, CalicoNetwork) and network.registry:
            text += f"# image: quay.io/tigera/operator becomes {network.registry}tigera/operator\n"
        return text

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply, with the operator's image from the inventory's registry."""
        network = situation.cluster.network
        if isinstance(network, CalicoNetwork):
            text = with_registry(tools.fetch(network.operator), network)
            tools.cluster().apply(text, record=self.name, digest=_operator_digest(network))


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
            return _not_chosen(situation)
        if api is None:
            return _no_api(situation)
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


class Manifests(Step):
    """The manifests of the operator's own choice are applied."""

    name = MANIFESTS_RECORD
    title = "Install the network plugin of the inventory's manifests"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The record of the last apply, and the workloads that it names."""
        network = situation.cluster.network
        if not isinstance(network, ManifestsNetwork):
            return _not_chosen(situation)
        if situation.api is None:
            return _no_api(situation)
        if other := _other_plugin(situation.api, network.plugin):
            return other
        if problem := _not_applied(situation.api, self.name, _digest(*network.manifests)):
            return Needed(problem)
        gone = [key for key in situation.api.applied[self.name].workloads if key not in situation.api.workloads]
        if gone:
            return Needed(f"{', '.join(gone)} is gone")
        return Satisfied(", ".join(str(source) for source in network.manifests))

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The inventory's list."""
        network = situation.cluster.network
        return network.manifests if isinstance(network, ManifestsNetwork) else ()

    def preview(self, situation: Situation) -> str:
        """Which manifests, in which order."""
        return _named(self.sources(situation))

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply, as one stream."""
        sources = self.sources(situation)
        text = "\n---\n".join(tools.fetch(source) for source in sources)
        tools.cluster().apply(text, record=self.name, digest=_digest(*sources))


class Ready(Step):
    """The plugin runs on every node."""

    name = "network/ready"
    title = "Wait for the network plugin on every node"
    reads_api = True
    changes_host = False
    deadline = 600.0

    def check(self, situation: Situation) -> Verdict:
        """All pods of flannel or of the own manifests are ready; Calico's operator says so of Calico."""
        network = situation.cluster.network
        if situation.api is None:
            return Unknown(situation.api_problem)
        if isinstance(network, CalicoNetwork):
            return _calico_ready(situation.api, network)
        if isinstance(network, ManifestsNetwork):
            record = situation.api.applied.get(MANIFESTS_RECORD)
            if record is None or not record.digest:
                return Needed("the manifests are not applied yet")
            return _workloads_ready(situation.api, record.workloads, "the manifests hold no Deployment or DaemonSet")
        daemon_set = situation.api.workloads.get(FLANNEL)
        if daemon_set is None:
            return Needed("flannel is not there yet")
        if daemon_set.ready < daemon_set.desired or not daemon_set.desired:
            return Needed(f"{daemon_set.ready} of {daemon_set.desired} flannel pods are ready")
        return Satisfied(f"{daemon_set.ready} flannel pods are ready")


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


def with_registry(manifest: str, network: CalicoNetwork) -> str:
    """The operator's manifest, with its own image from the registry that Calico's images come from."""
    if not network.registry:
        return manifest
    text, count = _OPERATOR_IMAGE.subn(lambda found: f"{found[1]}{network.registry}{found[2]}", manifest)
    if not count:
        raise InputError(
            f"{network.operator} holds no image quay.io/tigera/operator that cluster.network.registry could replace",
            resolution="give the operator's manifest as the release has it, or without cluster.network.registry",
        )
    return text


def difference(found: object, wanted: object, place: str) -> str:
    """The first place where ``found`` lacks what is ``wanted``, or nothing; ``found`` may hold more."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            if deeper := difference(found.get(key), value, f"{place}.{key}"):
                return deeper
        return ""
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if deeper := difference(one, other, f"{place}[{index}]"):
                return deeper
        return ""
    return "" if found == wanted else place


def _no_api(situation: Situation) -> Verdict:
    return Unknown(situation.api_problem) if situation.api_silent else Needed("there is no cluster yet")


def _not_chosen(situation: Situation) -> Satisfied:
    plugin = situation.cluster.network.plugin
    return Satisfied(f"the inventory chooses {'its own manifests' if plugin == 'manifests' else plugin}")


def _digest(*sources: Source) -> str:
    """What tells the manifests of these sources from others; of one source it is the text's own digest."""
    digests = [f"sha256:{source.sha256}" for source in sources]
    return digests[0] if len(digests) == 1 else manifest_digest("\n".join(digests))


def _operator_digest(network: CalicoNetwork) -> str:
    digest = _digest(network.operator)
    return manifest_digest(f"{digest} {network.registry}") if network.registry else digest


def _named(sources: tuple[Source, ...]) -> str:
    """What an operator reads of manifests that are fetched when they are applied."""
    return "".join(f"# kubectl apply --server-side --filename {it}\n# sha256 {it.sha256}\n" for it in sources)


def _not_applied(api: ClusterFacts, name: str, digest: str) -> str:
    """Why the manifests that ``name`` records are not the wanted ones, or nothing."""
    record = api.applied.get(name)
    if record is None:
        return "not applied yet"
    if not record.digest:
        return "an earlier apply did not come to its end"
    return "" if record.digest == digest else "the manifest that was applied differs from what is wanted"


def _other_plugin(api: ClusterFacts, chosen: str) -> Blocked | None:
    """Two plugins on one cluster cut pods off from each other, so a living cluster keeps the one it has."""
    own = MANIFESTS_RECORD in api.applied  # They may hold what looks like one of the others.
    told = any(name in api.applied for name in (CRDS_RECORD, OPERATOR_RECORD)) or (
        api.calico is not None and api.calico.installation is not None
    )
    living = {"flannel": not own and FLANNEL in api.workloads, "calico": not own and told, "manifests": own}
    others = [name for name, there in living.items() if there and name != chosen]
    if others:
        return Blocked(
            f"this cluster's network is {others[0]}'s, the inventory chooses {chosen}"
            if others[0] != "manifests"
            else f"this cluster's network comes from own manifests, the inventory chooses {chosen}",
            "clusterctl does not change the plugin of a living cluster, because pods of the old and the new network "
            f"do not reach each other: set cluster.network.plugin to {others[0]}, or make a new cluster",
        )
    if not any(living.values()) and any(node.ready for node in api.nodes.values()):
        seen = sorted(
            key for key in api.workloads if "/DaemonSet/" in key and key != "kube-system/DaemonSet/kube-proxy"
        )
        return Blocked(
            "nodes are Ready, so a network plugin that clusterctl did not install runs here already"
            + (f"; DaemonSets: {', '.join(seen[:_SHOWN])}" if seen else ""),
            "clusterctl does not put a second one beside it: look at it with `kubectl get daemonsets -A` and at "
            "/etc/cni/net.d on the nodes; use a playbook without the steps network/*",
        )
    return None


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


def _calico_ready(api: ClusterFacts, network: CalicoNetwork) -> Verdict:
    """What the operator says counts only for the objects as they are now. Degraded may pass by itself."""
    calico = api.calico
    if calico is None or calico.installation is None:
        return Needed("Calico's operator has not been told anything yet")
    if not calico.statuses:
        return Needed("Calico's operator has not reported yet; tigera-operator" + _pods(api.workloads.get(OPERATOR)))
    waiting = [
        text
        for name, of in {**_EXPECTED, **_IF_THERE}.items()
        if (text := _component(calico, name, of)) and (name in _EXPECTED or name in calico.statuses)
    ]
    if waiting:
        return Needed("; ".join(waiting[:_SHOWN]))
    if calico.version != network.version:
        return Needed(f"Calico {calico.version or 'of no version'} runs, not {network.version}")
    node = api.workloads.get(CALICO_NODE)
    if node is None or node.ready < node.desired or not node.desired:
        return Needed(f"calico-node{_pods(node)}")
    return Satisfied(f"Calico {calico.version}, {node.ready} nodes")


def _component(calico: CalicoFacts, name: str, of: str) -> str:
    """Why this component is not ready, or nothing."""
    status: ComponentStatus | None = calico.statuses.get(name)
    if status is None:
        return f"{name}: not reported yet"
    generation = {"installation": calico.installation_generation, "api_server": calico.api_server_generation}.get(of)
    if status.observed is not None and generation is not None and status.observed < generation:
        return f"{name}: the operator has not seen the newest settings yet"
    if status.available and not status.progressing and not status.degraded:
        return ""
    word = "degraded" if status.degraded else "progressing" if status.progressing else "not available"
    return f"{name}: {word}" + (f": {status.message}" if status.message else "")


def _workloads_ready(api: ClusterFacts, keys: tuple[str, ...], nothing: str) -> Verdict:
    for key in keys:
        workload = api.workloads.get(key)
        if workload is None or workload.ready < workload.desired or not workload.desired:
            return Needed(f"{key}{_pods(workload)}")
    return Satisfied(f"{', '.join(keys)}: all pods are ready" if keys else nothing)


def _pods(workload: Workload | None) -> str:
    if workload is None:
        return ": not there yet"
    return f": {workload.ready} of {workload.desired} pods are ready"
