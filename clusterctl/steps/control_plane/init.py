"""Start the first control plane (kubeadm init)."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.membership import TRACES
from clusterctl.steps.kubeadm_config import init_config
from clusterctl.steps.step import ScriptStep

# The last phases of kubeadm init leave these; a control plane without one of them is half done.
FINISHED = (
    "configmap/kubeadm-config",
    "configmap/kubelet-config",
    "configmap/cluster-info",
    "daemonset/kube-proxy",
    "deployment/coredns",
)


class Init(ScriptStep):
    """The first control plane runs the wanted version, and kubeadm init came to its end."""

    name = "control-plane/init"
    title = "Start the first control plane (kubeadm init)"
    reads_api = True
    deadline = 120.0

    def check(self, situation: Situation) -> Verdict:
        """Ask the API, not files: kubeadm writes its files before the control plane is up."""
        facts, host = situation.facts, situation.host
        traces = [path for path in TRACES if path in facts.paths]
        if not traces and (others := _others_of_a_cluster(situation)):
            return Blocked(
                f"there is a cluster on {', '.join(others)}, and this host, the first control plane of the inventory, "
                "has no part in it",
                f"list {others[0]} first in the inventory; then this host joins it",
            )
        if not traces:
            return Needed("there is no cluster yet")
        reset = (
            f"look at it first: ssh {host.address} sudo journalctl -u kubelet -n 50; if this host holds nothing of "
            f"value: ssh {host.address} sudo kubeadm reset -f, then run the same command again"
        )
        if situation.api_silent:
            reset = f"an API server starts within a minute of its host: run the same command again; else {reset}"
        if situation.api is None:
            return Blocked(
                f"{', '.join(traces[:3])} exist, and the API cannot be asked: {situation.api_problem}", reset
            )
        missing = [mark for mark in FINISHED if mark not in situation.api.finished]
        if situation.node is None:
            missing.append(f"node/{situation.node_name}")
        elif not situation.node.control_plane:
            missing.append(f"the control-plane label of node/{situation.node_name}")
        if missing:
            return Blocked(f"kubeadm init did not come to its end: {', '.join(missing)} is missing", reset)
        wanted, running = situation.cluster.kubernetes, situation.api.version
        if running != wanted:
            return Blocked(
                f"the cluster runs {running}, the inventory asks for {wanted}",
                f"bootstrap never changes a running cluster's version: set cluster.kubernetes to {running}",
            )
        return Satisfied(f"the API server answers, version {running}")

    def script(self, situation: Situation) -> Script:
        """kubeadm init with a v1beta4 file."""
        environment = proxy.control_plane_environment(situation)
        return script(self.name, environment=environment, config=init_config(situation))


def _others_of_a_cluster(situation: Situation) -> tuple[str, ...]:
    """The control planes besides this host on which something of a cluster lies."""
    return tuple(
        host.name
        for host in situation.inventory.control_planes
        if host != situation.host
        and host.name in situation.all_facts
        and not situation.all_facts[host.name].paths.isdisjoint(TRACES)
    )
