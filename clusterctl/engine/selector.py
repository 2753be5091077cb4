"""Which hosts a play runs on."""

from typing import Literal, assert_never

from clusterctl.model.inventory import Host, Inventory

Selector = Literal["all", "control-plane", "first-control-plane", "other-control-plane", "worker", "pool"]


def select(selector: Selector, inventory: Inventory) -> tuple[Host, ...]:
    """Return the hosts that ``selector`` names, in the inventory's order.

    ``all`` is every host that shall be a node; ``pool`` is the workers and the spares.
    """
    match selector:
        case "all":
            return inventory.nodes
        case "first-control-plane":
            return (inventory.first_control_plane,)
        case "other-control-plane":
            return inventory.control_planes[1:]
        case "control-plane":
            return inventory.control_planes
        case "worker":
            return inventory.workers
        case "pool":
            return inventory.pool
        case _:
            assert_never(selector)
