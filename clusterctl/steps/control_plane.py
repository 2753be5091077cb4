"""Control planes: kubeadm init on the first, kubeadm join on the others, and what both must leave behind."""

import secrets
from collections.abc import Iterator

from clusterctl.model.secret import Secret
from clusterctl.model.situation import ADMIN_CONF, Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, document, script
from clusterctl.steps import os_proxy
from clusterctl.steps.etcd_members import anew, half_joined, member_of, removal
from clusterctl.steps.kubeadm import init_config
from clusterctl.steps.preflight import BOOTSTRAP_CONF, ETCD_DATA, KUBELET_CONF
from clusterctl.steps.step import ScriptStep, Step, Tools
from clusterctl.steps.workers import DISCOVERY, join_config, put_token, telling_of_expiry

STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
MANIFESTS = tuple(f"/etc/kubernetes/manifests/{name}.yaml" for name in STATIC_PODS)
# The last phases of kubeadm init leave these; a control plane without one of them is half done.
FINISHED = (
    "configmap/kubeadm-config",
    "configmap/kubelet-config",
    "configmap/cluster-info",
    "daemonset/kube-proxy",
    "deployment/coredns",
)
_TRACES = (ADMIN_CONF, KUBELET_CONF, ETCD_DATA, *MANIFESTS)
_KEY = "/run/clusterctl/certificate-key"


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
        environment = os_proxy.control_plane_environment(situation)
        return script(self.name, environment=environment, config=init_config(situation))


class Join(ScriptStep):
    """The host is one of the cluster's control planes, and its etcd has a vote."""

    name = "control-plane/join"
    title = "Join as a control plane (kubeadm join --control-plane)"
    reads_api = True
    deadline = 120.0

    def check(self, situation: Situation) -> Verdict:
        """The files on the host, the node in the API and the member of etcd have to agree."""
        facts, host, name = situation.facts, situation.host, situation.node_name
        traces = [path for path in (BOOTSTRAP_CONF, *_TRACES) if path in facts.paths]
        reset = f"if this host may join anew: {anew(situation)}"
        if situation.node is not None:
            reset += f"; kubectl delete node {name}"
        if traces and situation.api_silent:
            return Unknown(situation.api_problem)
        if traces and situation.api is None:
            return Blocked(
                f"{', '.join(traces[:3])} exist, and the API cannot be asked: {situation.api_problem}", reset
            )
        if not traces:
            return _stranger(situation) or Needed(f"{name} is not a control plane yet")
        if situation.node is not None and not situation.node.control_plane and MANIFESTS[0] not in facts.paths:
            return Blocked(
                f"{name} is a worker of this cluster, and the inventory wants a control plane",
                f"drain it first; {reset}; then run the same command again",
            )
        missing = list(_unfinished(situation))
        if missing:
            return Blocked(
                f"kubeadm join did not come to its end: {', '.join(missing)}",
                f"look at it first: ssh {host.address} sudo journalctl -u kubelet -n 50; {reset}; "
                "then run the same command again",
            )
        return Satisfied(f"{name} is a control plane")

    def script(self, situation: Situation) -> Script:
        """kubeadm join with a v1beta4 file; token and certificate key are in files of their own."""
        environment = os_proxy.control_plane_environment(situation)
        return script(self.name, environment=environment, config=join_config(situation), discovery=DISCOVERY, key=_KEY)

    def upload(self, situation: Situation) -> Script:
        """What a control plane that runs has to do before: put the certificates, encrypted, into the cluster."""
        config = document("kubeadm/upload-certs.yaml.j2", kubernetes=situation.cluster.kubernetes)
        return script("control-plane/upload-certs", config=config, key=_KEY)

    def preview(self, situation: Situation) -> str:
        """Both scripts' texts."""
        return self.upload(situation).text + self.script(situation).text

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Upload the certificates with a key of this join, hand key and token over, join, and delete both."""
        source, key = tools.other(situation.founders[0]), Secret(secrets.token_hex(32))
        tools.say(f"{situation.founders[0]} uploads the certificates")
        source.put_secret(_KEY, key)
        source.run(self.upload(situation))
        put_token(situation, tools)
        tools.machine.put_secret(_KEY, key)
        with telling_of_expiry():
            super().apply(situation, tools)
        tools.cluster().delete_join_tokens()


class Ready(Step):
    """The control plane's own pods are ready."""

    name = "control-plane/ready"
    title = "Wait until the control plane's pods are ready"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """As the API shows the static pods of this node."""
        if situation.api is None or situation.node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node yet")
        pods = [f"{name}-{situation.node_name}" for name in STATIC_PODS]
        waiting = [pod for pod in pods if not situation.api.static_pods.get(pod)]
        if waiting:
            return Needed(f"{', '.join(waiting)} {'is' if len(waiting) == 1 else 'are'} not ready")
        return Satisfied(f"{', '.join(STATIC_PODS)} are ready")


def _others_of_a_cluster(situation: Situation) -> tuple[str, ...]:
    """The control planes besides this host on which something of a cluster lies."""
    return tuple(
        host.name
        for host in situation.inventory.control_planes
        if host != situation.host
        and host.name in situation.all_facts
        and not situation.all_facts[host.name].paths.isdisjoint(_TRACES)
    )


def _stranger(situation: Situation) -> Blocked | None:
    """What the cluster remembers of a host that has nothing of a control plane: somebody has to make it forget."""
    found, commands = [], []
    if situation.node is not None:
        found.append(f"the cluster has a node {situation.node_name}")
        commands.append(f"kubectl delete node {situation.node_name}")
    if (member := member_of(situation)) is not None:
        found.append(f"etcd has a member {member.id} at {situation.node_address}")
        commands.append(removal(situation, member))
    if not found:
        return None
    return Blocked(
        f"{' and '.join(found)}, and this host has nothing of a control plane",
        f"if what was here is gone for good: {'; '.join(commands)}; then run the same command again",
    )


def _unfinished(situation: Situation) -> Iterator[str]:
    """What a whole ``kubeadm join --control-plane`` leaves, and is not there."""
    for path in (KUBELET_CONF, ADMIN_CONF, *MANIFESTS):
        if path not in situation.facts.paths:
            yield f"{path} is missing"
    if situation.node is None:
        yield f"node/{situation.node_name} is missing"
    elif not situation.node.control_plane:
        yield f"the control-plane label of node/{situation.node_name} is missing"
    if told := half_joined(situation):
        yield told
    if member_of(situation) is None and situation.facts.etcd_members is not None:
        yield "it is no member of etcd"


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
