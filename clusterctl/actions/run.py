"""A playbook of one's own, or a saved plan."""

from dataclasses import dataclass
from pathlib import Path

from clusterctl.actions.contracts import digests, saved_plan
from clusterctl.actions.operator import Operator
from clusterctl.actions.playbooks import any_playbook, ignoring
from clusterctl.actions.running import Wishes, run_playbook
from clusterctl.engine.contract import Contract
from clusterctl.engine.playbook import Playbook
from clusterctl.errors import InputError
from clusterctl.session.session import Session


@dataclass(frozen=True, slots=True)
class Prepared:
    """What shall be run, and, of a saved plan, what it promised. ``name`` is what the operator called it."""

    name: str
    book: Playbook
    contract: Contract | None


def prepare(name: str, inventory: Path, wishes: Wishes) -> Prepared:
    """Find the playbook or the saved plan called ``name``, before any host is asked.

    Raises InputError for one that is not there or has mistakes, Refused for a saved plan whose playbook or
    ``inventory`` has changed since.
    """
    contract = saved_plan(name)
    if contract is None:
        return Prepared(name, ignoring(any_playbook(name), wishes.ignore), None)
    if wishes.limit or wishes.ignore:
        option = "--limit" if wishes.limit else "--ignore"
        raise InputError(f"a saved plan has its own {option}", resolution=f"leave {option} out, or make another plan")
    contract.agree_on(digests(contract.playbook, inventory))
    return Prepared(name, ignoring(any_playbook(contract.playbook), contract.ignore), contract)


def run(session: Session, operator: Operator, prepared: Prepared, wishes: Wishes, *, answered: bool) -> bool:
    """Run it; whether anything was done. Raises as ``run_playbook`` does."""
    contract = prepared.contract
    book = prepared.book if contract is None else prepared.book.limited(contract.limit, session.inventory)
    again = session.call.command("run", prepared.name)
    return run_playbook(session, book, operator, wishes, again=again, answered=answered, contract=contract)
