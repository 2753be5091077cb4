"""The first control plane: kubeadm init, once, and what it must leave behind."""

from clusterctl.model.situation import ADMIN_CONF, Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps import os_proxy
from clusterctl.steps.kubeadm import init_config
from clusterctl.steps.preflight import ETCD_DATA, KUBELET_CONF
from clusterctl.steps.step import ScriptStep, Step, Tools

MANIFESTS = tuple(
    f"/etc/kubernetes/manifests/{name}.yaml"
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
)
# The last phases of kubeadm init leave these; a control plane without one of them is half done.
FINISHED = (
    "configmap/kubeadm-config",
    "configmap/kubelet-config",
    "configmap/cluster-info",
    "daemonset/kube-proxy",
    "deployment/coredns",
)
_TRACES = (ADMIN_CONF, KUBELET_CONF, ETCD_DATA, *MANIFESTS)


class Init(ScriptStep):
    """The first control plane runs the wanted version, and kubeadm init came to its end."""

    name = "control-plane/init"
    title = "Start the first control plane (kubeadm init)"
    reads_api = True
    deadline = 120.0

    def check(self, situation: Situation) -> Verdict:
        """Ask the API, not files: kubeadm writes its files before the control plane is up."""
        facts, host = situation.facts, situation.host
        traces = [path for path in _TRACES if path in facts.paths]
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
        environment = os_proxy.control_plane_environment(situation)
        return script(self.name, environment=environment, config=init_config(situation))


class JoinTokens(Step):
    """No token with which a machine could join is left."""

    name = "control-plane/join-tokens"
    title = "Delete the join tokens of this run"
    follows = True
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only tokens that clusterctl made count."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if tokens := situation.api.join_tokens:
            return Needed(f"{len(tokens)} of clusterctl's join tokens still exist")
        return Satisfied("none is left")

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Delete them."""
        tools.cluster().delete_join_tokens()


class AddOns(Step):
    """kube-proxy runs on every node, and CoreDNS answers."""

    name = "control-plane/add-ons"
    title = "Wait for kube-proxy and CoreDNS"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """All pods that they want are ready."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        for name in ("kube-system/DaemonSet/kube-proxy", "kube-system/Deployment/coredns"):
            workload = situation.api.workloads.get(name)
            if workload is None:
                return Needed(f"{name} is missing")
            if workload.ready < workload.desired or not workload.desired:
                return Needed(f"{name}: {workload.ready} of {workload.desired} pods are ready")
        return Satisfied("kube-proxy and CoreDNS are ready")
