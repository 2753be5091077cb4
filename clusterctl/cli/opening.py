"""The session of this call of the command line."""

from typing import TYPE_CHECKING

from clusterctl.cli.ask import password
from clusterctl.cli.context import inventory_path
from clusterctl.cli.options import asks_sudo_password, drain_changes, this_call
from clusterctl.session import opening

if TYPE_CHECKING:
    from clusterctl.session.session import Session


def open_session(*, begin: opening.Begin | None = None) -> "Session":
    """A session on the inventory that this call is about; ``begin`` is the opening's. Raises InputError."""
    return opening.open_session(
        inventory_path(),
        drain=drain_changes(),
        password=(lambda: password("sudo's password")) if asks_sudo_password() else None,
        call=this_call(),
        begin=begin,
    )
