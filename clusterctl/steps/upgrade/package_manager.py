"""Check that no installation was interrupted."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.rules.packages import package_trouble
from clusterctl.steps.finding import Finding


class PackageManager(Finding):
    """dpkg is at rest."""

    name = "upgrade/package-manager"
    title = "Check that no installation was interrupted"

    def find(self, situation: Situation) -> Verdict:
        """An installation that goes on is waited for."""
        return package_trouble(situation) or Satisfied("nothing in the way")
