"""What is so on the hosts."""

from collections.abc import Mapping, Sequence

from clusterctl.model.facts import HostFacts
from clusterctl.session.session import Session


def facts(session: Session, hosts: Sequence[str] = ()) -> Mapping[str, HostFacts]:
    """The facts of ``hosts``, none meaning all, by their names. Raises InputError, ConnectError or SeveralErrors."""
    return session.look_at([session.inventory.host(name) for name in dict.fromkeys(hosts)] or None)
