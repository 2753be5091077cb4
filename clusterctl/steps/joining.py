"""A join token of this run, and how a host is told of the cluster."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from clusterctl.errors import CommandFailed
from clusterctl.model.secret import Secret
from clusterctl.model.situation import Situation
from clusterctl.rules.membership import authority
from clusterctl.steps.step import Tools

DISCOVERY = "/run/clusterctl/discovery.conf"
# Longer than kubeadm's own five minutes for the bootstrap; the last play deletes the token anyway.
_TOKEN_SECONDS = 900


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
