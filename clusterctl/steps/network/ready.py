"""Wait for the network plugin on every node."""

from clusterctl.model.facts import CalicoFacts, ClusterFacts, ComponentStatus, Workload
from clusterctl.model.inventory import CalicoNetwork, ManifestsNetwork
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.rules.network import CALICO_NODE, FLANNEL, MANIFESTS_RECORD, OPERATOR, SHOWN
from clusterctl.steps.step import Step

# What the operator reports of, and of whose generation: others are nothing that clusterctl asked for.
_EXPECTED = {"calico": "installation", "apiserver": "api_server"}
_IF_THERE = {"ippools": "installation", "tiers": ""}


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
        return Needed("; ".join(waiting[:SHOWN]))
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
