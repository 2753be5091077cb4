"""Check that the endpoint leads to a control plane."""

from clusterctl.model.situation import Situation
from clusterctl.model.survey import EndpointFact
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding
from clusterctl.steps.preflight.network import NOT_ASKED


class Endpoint(Finding):
    """The endpoint's name resolves on this host, and its address leads to a control plane."""

    name = "preflight/endpoint"
    title = "Check that the endpoint leads to a control plane"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Before there is a cluster our own listeners on the control planes answer, or nobody does."""
        survey = situation.survey
        if survey is None or survey.endpoint is None:
            return A_NODE if is_node(situation) else NOT_ASKED
        endpoint = situation.cluster.endpoint
        where = endpoint.rpartition(":")[0].strip("[]")
        if not survey.endpoint:
            return Blocked(
                f"the name {where} does not resolve",
                f"enter it in the DNS, or in /etc/hosts of every host; getent hosts {where} shows the answer",
            )
        wanted = situation.cluster.virtual_ip
        if wanted and (others := [fact.address for fact in survey.endpoint if fact.address != wanted]):
            return Blocked(
                f"the name {where} resolves to {', '.join(others)}, and the virtual IP is {wanted}",
                f"let it resolve to {wanted} alone on every host; getent hosts {where} shows the answer",
            )
        planes = {host.name for host in situation.inventory.control_planes}
        carried = {address: name for name, facts in situation.all_facts.items() for address in facts.addresses}
        if wanted and wanted not in carried:
            return Satisfied(f"{where} is the virtual IP {wanted}, which a control plane will have")
        for fact in survey.endpoint:
            owner = carried.get(fact.address, "")
            if owner and owner not in planes:
                return Blocked(
                    f"the endpoint {endpoint} is {fact.address}, an address of the worker {owner}",
                    "point it at a control plane, or at a load balancer in front of them",
                )
            if not owner and (verdict := _outside(endpoint, fact, planes)):
                return verdict
            if owner and fact.problem:
                return Blocked(
                    f"the endpoint {endpoint} ({fact.address}, on {owner}) cannot be reached: {fact.problem.lower()}",
                    f"open the port on {owner} for this host, or correct cluster.endpoint",
                )
        outside = [fact.address for fact in survey.endpoint if fact.address not in carried]
        if outside:
            return Satisfied(
                f"{', '.join(outside)} is on no interface of the hosts (NAT or a load balancer) and leads to a control "
                "plane; it goes into the certificates beside the control plane's own address",
                warning=True,
            )
        return Satisfied(f"{endpoint} leads to {carried[survey.endpoint[0].address]}")


def _outside(endpoint: str, fact: EndpointFact, planes: set[str]) -> Verdict | None:
    """What an address says that no interface carries; None when all is well."""
    what = f"the endpoint {endpoint} is {fact.address}, which no interface of the hosts carries"
    ignore = "; once it is right, or if you know better: --ignore preflight/endpoint"
    if fact.problem.lower() == "connection refused" or fact.answered_by == "-":
        return Satisfied(
            f"{what}; it takes no connections yet, as a load balancer without a healthy server: "
            "kubeadm needs it to lead to the first control plane as soon as that answers",
            warning=True,
        )
    if fact.problem:
        return Blocked(
            f"{what}, and it cannot be reached from here: {fact.problem.lower()}",
            "behind NAT, let the router bring hosts back to it (hairpin), or take a name that leads to the private "
            "address on the hosts" + ignore,
        )
    if fact.answered_by not in planes and fact.answered_by != "":
        who = fact.answered_by if fact.answered_by != "?" else "something else"
        return Blocked(
            f"{what}, and {who} answers there, not a control plane of this inventory",
            f"point it at the control planes{ignore}",
        )
    return None
