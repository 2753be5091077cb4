"""What draining nodes would meet."""

from collections.abc import Sequence

from clusterctl.report.forecast import earlier_drains
from clusterctl.rules.forecast import Forecast
from clusterctl.session.session import Session
from clusterctl.session.state import known_durations


def forecast(session: Session, hosts: Sequence[str] = ()) -> tuple[Forecast, ...]:
    """What draining the nodes of ``hosts``, none meaning all, would meet. Nothing is moved.

    Raises InputError for a host without a node, KubernetesError or ConnectError.
    """
    wanted = [session.inventory.host(name) for name in dict.fromkeys(hosts)] or session.inventory.nodes
    return session.forecast(wanted)


def drain_seconds() -> float | None:
    """How long drains took in earlier runs; None when there were none."""
    return earlier_drains(known_durations())
