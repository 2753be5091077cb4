"""Check the size of packets between the hosts."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding
from clusterctl.steps.preflight.network import NOT_ASKED


class Mtu(Finding):
    """Packets as large as this host's interface allows reach the other hosts: VXLAN fills them to the last byte."""

    name = "preflight/mtu"
    title = "Check the size of packets between the hosts"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """The pod network gives pods the interface's MTU less 50; a smaller way between hosts swallows such packets."""
        survey = situation.survey
        if survey is None:
            return A_NODE if is_node(situation) else NOT_ASKED
        small = [way for way in survey.ways if way.wanted and not way.problem and way.packet < way.wanted]
        if not small:
            tried = [way for way in survey.ways if way.wanted and not way.problem]
            return Satisfied(f"{tried[0].wanted} bytes reach every host" if tried else "not tried")
        link = situation.facts.links.get(situation.node_address)
        least = min(way.packet for way in small)
        return Blocked(
            f"packets of {small[0].wanted} bytes do not reach "
            + ", ".join(f"{way.peer} ({way.packet} do)" for way in small),
            f"let the network carry them, or lower the MTU of every host's interface: "
            f"sudo ip link set dev {link.name if link else 'DEVICE'} mtu {least}, and in the network's configuration",
        )
