"""Have the endpoint send requests to this API server again."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.rules.endpoint import haproxy_uses
from clusterctl.steps.rotation import Rotation


class Rejoin(Rotation):
    """Every HAProxy sends requests to this host's API server whenever that is ready."""

    name = "endpoint/rejoin"
    title = "Have the endpoint send requests to this API server again"
    follows = True

    def check(self, situation: Situation) -> Verdict:
        """HAProxy itself looks whether the API server is ready."""
        if not situation.cluster.virtual_ip:
            return Satisfied("not wanted")
        if left := [name for name, used in haproxy_uses(situation) if used is False]:
            return Needed(f"the HAProxy of {', '.join(left)} sends nothing to {situation.host.name}")
        return Satisfied(f"no HAProxy leaves {situation.host.name} out")
