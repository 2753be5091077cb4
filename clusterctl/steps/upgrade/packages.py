"""Fetch the new kubelet and see that it knows this host's settings."""

from clusterctl.model.places import KUBELET_ENVIRONMENT, KUBELET_PACKAGES, fitting
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.packages import interrupted, unfit
from clusterctl.steps.step import ScriptStep

_CONFIG = "/var/lib/kubelet/config.yaml"


class Packages(ScriptStep):
    """The new kubelet is at hand, and knows every flag and feature gate that this host gives it."""

    name = "upgrade/packages"
    title = "Fetch the new kubelet and see that it knows this host's settings"

    def check(self, situation: Situation) -> Verdict:
        """A file that the script leaves until the next boot."""
        wanted = situation.cluster.kubernetes
        if not unfit(situation, KUBELET_PACKAGES):
            return Satisfied("they are installed")
        if fitting(wanted) in situation.facts.paths:
            return Satisfied(f"the kubelet of {wanted} knows this host's settings")
        return interrupted(situation) or Needed(f"the kubelet of {wanted} was not tried with this host's settings")

    def script(self, situation: Situation) -> Script:
        """Download both packages, unpack the kubelet beside the one that runs, and have it read the settings."""
        wanted = situation.cluster.kubernetes
        return script(
            self.name,
            environment=proxy.environment(situation.cluster),
            packages=[f"{name}={wanted}-*" for name in KUBELET_PACKAGES],
            version=wanted,
            flags=KUBELET_ENVIRONMENT,
            config=_CONFIG,
            fitting=fitting(wanted),
        )
