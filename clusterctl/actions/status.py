"""How the cluster is, beside the inventory."""

from clusterctl.report.status import Status
from clusterctl.session.session import Session


def status(session: Session) -> Status:
    """Ask the API and the hosts, and change nothing; a host that does not answer is part of the answer.

    Raises KubernetesError or ConnectError when no control plane answers.
    """
    cluster = session.look_at_api()
    facts, unreachable = session.look_where_possible()
    return Status(session.inventory, cluster, facts, unreachable)
