"""What a step would send to a host."""

from clusterctl.session.session import Session
from clusterctl.steps.step import Step


def render(session: Session, step: Step, host: str) -> str:
    """What ``step`` would run and write on ``host`` as the hosts are now; empty when it checks or waits.

    Raises InputError, ConnectError or SeveralErrors.
    """
    wanted = session.inventory.host(host)
    session.look_at()
    return step.preview(session.situation(wanted, step))
