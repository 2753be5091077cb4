"""Which hosts a play runs on."""

from typing import Literal, assert_never

from clusterctl.model.inventory import Host, Inventory

Selector = Literal["all", "control-plane", "first-control-plane", "other-control-plane", "worker"]


def select(selector: Selector, inventory: Inventory) -> tuple[Host, ...]:
    """Return the hosts that ``selector`` names, in the inventory's order."""
    match selector:
        case "all":
            return inventory.hosts
        case "first-control-plane":
            return (inventory.first_control_plane,)
        case "other-control-plane":
            return inventory.control_planes[1:]
        case "control-plane" | "worker":
            return tuple(host for host in inventory.hosts if host.role == selector)
        case _:
            assert_never(selector)
