"""Set the node's taints."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.steps.nodes.unregistered import no_node
from clusterctl.steps.step import Step, Tools


class Taints(Step):
    """The node has the taints of the inventory; taints of others stay."""

    name = "nodes/taints"
    title = "Set the node's taints"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only taints that clusterctl set are ever removed."""
        node, wanted = situation.node, situation.host.taints
        if node is None:
            return no_node(situation) if wanted else Satisfied("none is wanted")
        add, remove = _taint_changes(situation)
        if add or remove:
            return Needed(", ".join([*add, *(f"{taint}-" for taint in remove)]))
        return Satisfied(f"{len(wanted)} taints of the inventory are set" if wanted else "none is wanted")

    def preview(self, situation: Situation) -> str:
        """The taints as kubectl would take them."""
        add, remove = _taint_changes(situation)
        changes = [*add, *(f"{taint}-" for taint in remove)]
        return f"taint node {situation.node_name}: {' '.join(changes)}\n" if changes else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Set and remove what differs."""
        add, remove = _taint_changes(situation)
        tools.cluster().set_taints(situation.node_name, add=add, remove=remove)


def _taint_changes(situation: Situation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    node, wanted = situation.node, situation.host.taints
    if node is None:
        return (), ()
    add = tuple(taint for taint in wanted if taint not in node.taints)
    remove = tuple(sorted(taint for taint in node.owned_taints if taint in node.taints and taint not in wanted))
    return add, remove
