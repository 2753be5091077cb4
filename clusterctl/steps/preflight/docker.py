"""Check for Docker."""

import re

from clusterctl.model.places import CONTAINERD_CONFIG, DOCKER_SERVICE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding


class Docker(Finding):
    """Docker does not share the host's containerd with Kubernetes."""

    name = "preflight/docker"
    title = "Check for Docker"

    def find(self, situation: Situation) -> Verdict:
        """Docker that runs, and the settings with which its packages switch Kubernetes' side of containerd off."""
        if is_node(situation):
            return A_NODE
        docker = situation.facts.services.get(DOCKER_SERVICE)
        if docker is not None and docker.active == "active":
            return Blocked(
                "Docker runs here, on the containerd that Kubernetes will configure and restart",
                "move its containers elsewhere and remove it: sudo apt-get remove docker-ce docker.io; Docker also "
                "sets the firewall's FORWARD policy to DROP, which cuts pods off",
            )
        config = situation.facts.file(CONTAINERD_CONFIG) or ""
        if re.search(r"""^\s*disabled_plugins\s*=.*["']cri["']""", config, re.MULTILINE):
            return Satisfied(
                f"{CONTAINERD_CONFIG} is Docker's, with the CRI switched off; runtime/config replaces it", warning=True
            )
        return Satisfied("none")
