"""Workers join with a token of this run."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from clusterctl.errors import CommandFailed
from clusterctl.model.secret import Secret
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, document, script
from clusterctl.steps.kubeadm import node_registration
from clusterctl.steps.preflight import BOOTSTRAP_CONF, KUBELET_CONF, authority
from clusterctl.steps.step import ScriptStep, Tools

DISCOVERY = "/run/clusterctl/discovery.conf"
# Longer than kubeadm's own five minutes for the bootstrap; the last play deletes the token anyway.
_TOKEN_SECONDS = 900


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


@contextmanager
def telling_of_expiry() -> Iterator[None]:
    """Say of a ``kubeadm join`` whose token was refused that the next run makes a new one."""
    try:
        yield
    except CommandFailed as error:
        if "Unauthorized" in error.details:
            error.resolution = "the join token expired or was deleted; run the same command again: it makes a new one"
        raise


def token_seconds(situation: Situation) -> int:
    """How long a token has to live by our clock: the control planes end it by theirs, which may be ahead of ours."""
    clocks = [situation.all_facts[name].clock for name in situation.founders]
    return _TOKEN_SECONDS + max((round(clock.ahead) for clock in clocks if clock), default=0)


def join_config(situation: Situation) -> str:
    """The file for ``kubeadm join --config``, of a worker or a control plane."""
    return document(
        "kubeadm/join.yaml.j2",
        discovery=DISCOVERY,
        control_plane=situation.host.role == "control-plane",
        **node_registration(situation),
    )


def put_token(situation: Situation, tools: Tools) -> None:
    """Make a token, and put it on the host with all that kubeadm needs to find the cluster."""
    token = tools.cluster().create_join_token(ttl_seconds=token_seconds(situation))
    tools.machine.put_secret(DISCOVERY, discovery(situation, token))


def discovery(situation: Situation, token: Secret) -> Secret:
    """The kubeconfig by which kubeadm finds and trusts the cluster, and the token that lets the node in.

    It spares the CA's hash and the cluster-info ConfigMap. (kubeadm join, file-based discovery)
    """
    ca = authority(situation) or ""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "cluster",
                "cluster": {
                    "server": f"https://{situation.cluster.endpoint}",
                    "certificate-authority-data": base64.b64encode(ca.encode()).decode(),
                },
            }
        ],
        "users": [{"name": "join", "user": {"token": token.reveal()}}],
        "contexts": [{"name": "join", "context": {"cluster": "cluster", "user": "join"}}],
        "current-context": "join",
    }
    return Secret(json.dumps(config))
