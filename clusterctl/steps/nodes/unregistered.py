"""What is to say of a host that has no node yet."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Unknown


def no_node(situation: Situation) -> Unknown:
    """Nothing is known of a node that is not there."""
    return Unknown(situation.api_problem if situation.api_silent else f"{situation.node_name} is not a node yet")
