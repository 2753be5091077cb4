"""Check that the packages can be had."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.packages import repository_url, version_of
from clusterctl.steps.finding import Finding


class Source(Finding):
    """The wanted Kubernetes version is in the package repository, as seen from this host."""

    name = "preflight/source"
    title = "Check that the packages can be had"

    def find(self, situation: Situation) -> Verdict:
        """Asked only while the version is not installed yet."""
        facts, wanted = situation.facts, situation.cluster.kubernetes
        repository = repository_url(situation)
        if facts.available_problem == "curl is not installed":
            return Satisfied("curl is not installed yet, so the repository was not asked", warning=True)
        if facts.available_problem:
            return Blocked(
                f"{repository} cannot be read: {facts.available_problem.splitlines()[-1]}",
                f"try it on the host: curl -fL {repository}/Packages; set cluster.sources.packages to another source",
            )
        if facts.available is None:
            return Satisfied(f"{wanted} is installed")
        if not any(version.startswith(f"{wanted}-") for version in facts.available):
            newest = sorted(facts.available, key=lambda text: version_of(text.partition("-")[0]))[-3:]
            return Blocked(
                f"{repository} has no kubeadm {wanted}; newest there: {', '.join(newest) or 'none'}",
                "name one of them: cluster.kubernetes in the inventory, or --to of an upgrade",
            )
        return Satisfied(f"{wanted} is in {repository}")
