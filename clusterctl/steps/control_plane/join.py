"""Join as a control plane (kubeadm join --control-plane)."""

import secrets
from collections.abc import Iterator

from clusterctl.model.places import ADMIN_CONF, BOOTSTRAP_CONF, KUBELET_CONF, MANIFESTS
from clusterctl.model.secret import Secret
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, document, script
from clusterctl.rules import proxy
from clusterctl.rules.etcd import anew, half_joined, member_of, removal
from clusterctl.rules.membership import TRACES
from clusterctl.steps.joining import DISCOVERY, put_token, telling_of_expiry
from clusterctl.steps.kubeadm_config import join_config
from clusterctl.steps.step import ScriptStep, Tools

_KEY = "/run/clusterctl/certificate-key"


class Join(ScriptStep):
    """The host is one of the cluster's control planes, and its etcd has a vote."""

    name = "control-plane/join"
    title = "Join as a control plane (kubeadm join --control-plane)"
    reads_api = True
    deadline = 120.0

    def check(self, situation: Situation) -> Verdict:
        """The files on the host, the node in the API and the member of etcd have to agree."""
        facts, host, name = situation.facts, situation.host, situation.node_name
        traces = [path for path in (BOOTSTRAP_CONF, *TRACES) if path in facts.paths]
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
        environment = proxy.control_plane_environment(situation)
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
