"""Check for the use of APIs that will be gone."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.versions import minor
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import AT_TARGET


class RemovedApis(Finding):
    """Nobody uses an API that the new version no longer serves."""

    name = "upgrade/removed-apis"
    title = "Check for the use of APIs that will be gone"

    def find(self, situation: Situation) -> Verdict:
        """What this API server was asked for since it started, by its own metrics."""
        outlook, wanted = situation.facts.outlook, minor(situation.cluster.kubernetes)
        if situation.host.role != "control-plane":
            return Satisfied("a worker serves none")
        if outlook is None:
            return AT_TARGET
        if outlook.deprecated is None:
            return Satisfied("the API server's metrics could not be read here", warning=True)
        gone = [api for api in outlook.deprecated if minor(api.removed) <= wanted]
        if gone:
            return Blocked(
                f"was asked for, and is gone with {situation.cluster.minor}: "
                + ", ".join(f"{api.name} (removed in {api.removed})" for api in gone),
                "find who does: the audit log marks such requests with k8s.io/deprecated, and managedFields of the "
                "objects name their writers; when nobody does any more, restart the API server, or ignore this finding",
            )
        later = ", ".join(f"{api.name} goes with {api.removed}" for api in outlook.deprecated)
        return Satisfied(f"in use: {later}", warning=True) if later else Satisfied("none is in use")
