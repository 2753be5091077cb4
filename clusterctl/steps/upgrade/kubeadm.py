"""Install the new kubeadm."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.packages import installed, interrupted, unfit
from clusterctl.rules.upgrading import passed
from clusterctl.rules.versions import at_least, minor
from clusterctl.steps.step import ScriptStep


class Kubeadm(ScriptStep):
    """kubeadm is of the wanted version. Only while it has to act for this version may it not be of a newer minor."""

    name = "upgrade/kubeadm"
    title = "Install the new kubeadm"

    def check(self, situation: Situation) -> Verdict:
        """Version, hold, and that dpkg is done with it."""
        wanted, version = situation.cluster.kubernetes, installed(situation.facts, "kubeadm")
        if problem := unfit(situation, ("kubeadm",)):
            return interrupted(situation) or Needed(problem)
        if minor(version) > minor(wanted) and not passed(situation):
            return Needed(f"kubeadm is {version}, and only one of {situation.cluster.minor} can bring this host there")
        return Satisfied(f"kubeadm {version}, held")

    def script(self, situation: Situation) -> Script:
        """Install exactly this package at this version, and hold it."""
        wanted, there = situation.cluster.kubernetes, installed(situation.facts, "kubeadm")
        return script(
            self.name,
            environment=proxy.environment(situation.cluster),
            package=f"kubeadm={wanted}-*",
            hold="kubeadm",
            newer=bool(there) and not at_least(wanted, there),
        )
