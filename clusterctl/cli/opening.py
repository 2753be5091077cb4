"""A call's session: the inventory, the way to the hosts, and then what a session is made of.

What is imported here for plans, steps and the API takes as long as a connection. A command that will look at every node
opens its session before it imports that, so that both go on at the same time.
"""

from typing import TYPE_CHECKING, Literal

from clusterctl.cli.ask import password
from clusterctl.cli.options import asks_sudo_password, drain_changes, inventory_path
from clusterctl.model.inventory import Inventory, load_inventory, with_drain
from clusterctl.model.secret import Secret
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.login import Login

if TYPE_CHECKING:
    from clusterctl.cli.session import Session, World


Begin = Literal["connect", "look"]


def open_session(*, begin: Begin | None = None) -> "Session":
    """A session on the inventory of this call. Raises InputError.

    With ``begin`` all nodes are being connected to when it is returned, or looked at as well; else nothing is begun. A
    command that takes the operator's lock looks afterwards.
    """
    inventory = with_drain(load_inventory(inventory_path()), drain_changes())
    typed = password("sudo's password") if asks_sudo_password() else None
    world = make_world(inventory, typed, begin)

    from clusterctl.cli.session import Session

    return Session(inventory, world)


def make_world(inventory: Inventory, sudo_password: Secret | None, begin: Begin | None) -> "World":
    """The real machines and the real API."""
    fleet = Fleet(inventory, Login(inventory.ssh, sudo_password))
    connecting = fleet.begin(inventory.nodes) if begin else {}

    from clusterctl.cli.world import Machines

    machines = Machines(fleet)
    if begin == "look":
        machines.begin_to_look(connecting)
    return machines
