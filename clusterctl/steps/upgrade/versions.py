"""Compare the running version with the wanted one."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.rules.upgrading import api_server
from clusterctl.rules.versions import minor, parse
from clusterctl.steps.finding import Finding


class Versions(Finding):
    """The wanted version lies at most one minor ahead of the one that runs."""

    name = "upgrade/versions"
    title = "Compare the running version with the wanted one"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """Each control plane's own API server, by its manifest; a worker has to be a node."""
        wanted = situation.cluster.kubernetes
        if not situation.founders:
            return Blocked("there is no cluster yet", "make it first: clusterctl bootstrap")
        if not is_node(situation):
            return Blocked(
                "this host is no node of the cluster",
                "let it join first: clusterctl bootstrap; or take it out of the inventory",
            )
        running = api_server(situation)
        if situation.host.role != "control-plane":
            return Satisfied("a worker follows its control plane")
        if not running:
            return Unknown(f"the API server's version is not known: {situation.api_problem or 'its image has no tag'}")
        if parse(running) > parse(wanted):
            return Satisfied(f"the API server here runs {running} already; nothing is lowered", warning=True)
        if minor(running)[1] + 1 < minor(wanted)[1]:
            return Blocked(
                f"the API server here runs {running}, more than one minor before {wanted}",
                f"a control plane steps through every minor: clusterctl upgrade --to {wanted} does",
            )
        return Satisfied(f"{running} to {wanted}" if running != wanted else f"{wanted} runs here")
