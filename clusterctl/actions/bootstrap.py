"""From machines that answer SSH to a cluster."""

from clusterctl.actions.operator import Operator
from clusterctl.actions.playbooks import ignoring, playbook
from clusterctl.actions.running import Wishes, run_playbook
from clusterctl.session.session import Session


def bootstrap(session: Session, operator: Operator, wishes: Wishes, *, answered: bool) -> bool:
    """Make a cluster of the inventory's hosts; whether anything was done. Raises as ``run_playbook`` does."""
    book = ignoring(playbook("bootstrap"), wishes.ignore)
    again = session.call.command("bootstrap")
    return run_playbook(session, book, operator, wishes, again=again, answered=answered)
