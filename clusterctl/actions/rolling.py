"""Nodes of a running cluster, one after the other: cordon, uncordon, drain, reboot, os-update."""

from collections.abc import Sequence
from dataclasses import replace

from clusterctl.actions.operator import Operator
from clusterctl.actions.playbooks import ignoring, playbook
from clusterctl.actions.running import Wishes, run_playbook
from clusterctl.engine.playbook import Playbook
from clusterctl.session.session import Session


def roll(
    session: Session,
    operator: Operator,
    verb: str,
    hosts: Sequence[str],
    wishes: Wishes,
    *,
    answered: bool,
    batch: int | str | None = None,
) -> bool:
    """Run the playbook called ``verb`` on ``hosts``, none meaning all, with ``batch`` workers at once.

    Says whether anything was done. Raises as ``run_playbook`` does.
    """
    book = ignoring(playbook(verb), wishes.ignore)
    if batch:
        plays = (replace(play, batch=batch) if play.on == "worker" else play for play in book.plays)
        book = replace(book, plays=tuple(plays))
    book = book.limited(hosts, session.inventory)
    if verb == "reboot":
        book = _since_now(session, book)
    options = [*session.call.drain, *([f"--batch={batch}"] if batch else [])]
    return run_playbook(
        session,
        book,
        operator,
        wishes,
        again=lambda left: session.call.command(verb, *left, *options),
        answered=answered,
    )


def _since_now(session: Session, book: Playbook) -> Playbook:
    """The playbook, which knows how the hosts run now."""
    from clusterctl.steps.reboot.restart import Restart

    found = session.look_at(book.hosts(session.inventory))
    return book.with_steps(Restart({name: facts.boot_id for name, facts in found.items()}))
