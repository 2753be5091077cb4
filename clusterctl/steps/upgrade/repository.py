"""Switch to the package repository of the new version."""

import re

from clusterctl.model import places
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.rules.packages import interrupted, unfit
from clusterctl.rules.upgrading import passed
from clusterctl.rules.versions import minor
from clusterctl.steps import repository


class Repository(repository.KubernetesRepository):
    """apt knows the package repository of the wanted minor version."""

    name = "upgrade/repository"
    title = "Switch to the package repository of the new version"

    def check(self, situation: Situation) -> Verdict:
        """The source list's text; that of a newer minor may stay on a host that needs nothing of this one."""
        verdict = super().check(situation)
        there = re.search(r"/v(\d+\.\d+)/", situation.facts.file(places.KUBERNETES_SOURCE) or "")
        newer = there is not None and minor(there[1]) > minor(situation.cluster.minor)
        if newer and passed(situation) and not unfit(situation, places.KUBERNETES_PACKAGES):
            return Satisfied(f"this host is beyond {situation.cluster.minor}")
        return verdict if isinstance(verdict, Satisfied) else interrupted(situation) or verdict
