"""Set the node's labels."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.steps.nodes.unregistered import no_node
from clusterctl.steps.step import Step, Tools


class Labels(Step):
    """The node has the labels of the inventory; labels of others stay."""

    name = "nodes/labels"
    title = "Set the node's labels"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only labels that clusterctl set are ever removed."""
        node, wanted = situation.node, situation.host.labels
        if node is None:
            return no_node(situation) if wanted else Satisfied("none is wanted")
        changes = _label_changes(situation)
        if changes:
            return Needed(", ".join(f"{key}={value}" if value is not None else f"{key}-" for key, value in changes))
        return Satisfied(f"{len(wanted)} labels of the inventory are set" if wanted else "none is wanted")

    def preview(self, situation: Situation) -> str:
        """The labels as kubectl would take them."""
        changes = [f"{key}={value}" if value is not None else f"{key}-" for key, value in _label_changes(situation)]
        return f"label node {situation.node_name}: {' '.join(changes)}\n" if changes else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Set and remove what differs."""
        tools.cluster().set_labels(situation.node_name, dict(_label_changes(situation)))


def _label_changes(situation: Situation) -> tuple[tuple[str, str | None], ...]:
    node, wanted = situation.node, situation.host.labels
    if node is None:
        return ()
    removed = sorted(key for key in node.owned_labels if key in node.labels and key not in wanted)
    return (
        *((key, value) for key, value in wanted.items() if node.labels.get(key) != value),
        *((key, None) for key in removed),
    )
