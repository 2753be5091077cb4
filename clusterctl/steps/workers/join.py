"""Join the cluster (kubeadm join)."""

from clusterctl.model.places import BOOTSTRAP_CONF, KUBELET_CONF
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.joining import DISCOVERY, put_token, telling_of_expiry
from clusterctl.steps.kubeadm_config import join_config
from clusterctl.steps.step import ScriptStep, Tools


class Join(ScriptStep):
    """The host is a node of the cluster."""

    name = "workers/join"
    title = "Join the cluster (kubeadm join)"
    reads_api = True
    deadline = 120.0

    def check(self, situation: Situation) -> Verdict:
        """The kubelet's file on the host and the node in the API have to agree."""
        joined, name = KUBELET_CONF in situation.facts.paths, situation.node_name
        reset = f"if this host may join anew: ssh {situation.host.address} sudo kubeadm reset -f"
        if joined and situation.api_silent:
            return Unknown(situation.api_problem)
        if not joined and BOOTSTRAP_CONF in situation.facts.paths:
            return Blocked("a join was begun and did not finish", f"look at journalctl -u kubelet; {reset}")
        if situation.api is None:
            if joined:
                return Blocked(f"{KUBELET_CONF} exists, and the API cannot be asked: {situation.api_problem}", reset)
            return Needed(f"{name} is not a node yet")
        if not joined and situation.node is not None:
            return Blocked(
                f"the cluster has a node {name}, and this host has no {KUBELET_CONF}",
                f"if the node is gone for good: kubectl delete node {name}, then run the same command again",
            )
        if joined and situation.node is None:
            return Blocked(f"{KUBELET_CONF} exists, and the cluster has no node {name}", reset)
        if not joined:
            return Needed(f"{name} is not a node yet")
        return Satisfied(f"{name} is a node")

    def script(self, situation: Situation) -> Script:
        """kubeadm join with a v1beta4 file; the token is in a file of its own."""
        return script(self.name, config=join_config(situation), discovery=DISCOVERY)

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Make a token, hand it over through standard input, join."""
        put_token(situation, tools)
        with telling_of_expiry():
            super().apply(situation, tools)
