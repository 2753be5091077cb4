"""Open a session: the inventory, the way to the hosts, and then what a session is made of.

What is imported here for plans, steps and the API takes as long as a connection. Who will look at every node opens the
session before he imports that, so that both go on at the same time.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clusterctl.model.inventory import Inventory, load_inventory, with_drain
from clusterctl.model.secret import Secret
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.login import Login

if TYPE_CHECKING:
    from clusterctl.report.progress import Progress
    from clusterctl.session.call import Call
    from clusterctl.session.session import Session
    from clusterctl.session.world import World


Begin = Literal["connect", "look"]


def open_session(
    path: Path,
    *,
    drain: Mapping[str, bool | int] | None = None,
    password: Callable[[], Secret] | None = None,
    call: "Call | None" = None,
    begin: Begin | None = None,
    progress: "type[Progress] | None" = None,
) -> "Session":
    """A session on the inventory at ``path``. Raises InputError.

    ``drain`` replaces what the inventory says of it; ``password`` asks for sudo's. With ``begin`` all nodes are being
    connected to when it is returned, or looked at as well; else nothing is begun. Who takes the operator's lock looks
    afterwards.
    """
    inventory = with_drain(load_inventory(path), drain or {})
    world = make_world(inventory, password() if password else None, begin)

    from clusterctl.session.session import Session

    return Session(inventory, world, path=path, call=call, progress=progress)


def make_world(inventory: Inventory, sudo_password: Secret | None, begin: Begin | None) -> "World":
    """The real machines and the real API."""
    fleet = Fleet(inventory, Login(inventory.ssh, sudo_password))
    connecting = fleet.begin(inventory.nodes) if begin else {}

    from clusterctl.session.machines import Machines

    machines = Machines(fleet)
    if begin == "look":
        machines.begin_to_look(connecting)
    return machines
