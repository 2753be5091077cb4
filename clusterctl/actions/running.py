"""From a playbook to a finished run: the plan, the question, the run. What all actions share that change hosts."""

import shlex
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from clusterctl.actions.operator import UNATTENDED, Operator
from clusterctl.engine.contract import Contract
from clusterctl.engine.events import Event, Waiting
from clusterctl.engine.plan import Plan
from clusterctl.engine.playbook import Playbook
from clusterctl.errors import Refused
from clusterctl.model.words import count
from clusterctl.report.estimate import make_estimate, typical
from clusterctl.report.ndjson import Lines
from clusterctl.report.record import Record
from clusterctl.report.summary import Again
from clusterctl.session.audit import open_trail
from clusterctl.session.probing import Target, targets, watching
from clusterctl.session.session import Session
from clusterctl.session.state import known_durations, remember_durations


@dataclass(frozen=True, slots=True)
class Wishes:
    """What may be said of any run.

    ``limit`` are the hosts or roles that walk, none meaning all; ``ignore`` the findings that shall not block; ``log``
    a file for every event. With ``probes``, which may be empty, the API endpoint and what they name are watched.
    """

    limit: Sequence[str] = ()
    ignore: Sequence[str] = ()
    log: Path | None = None
    probes: Sequence[str] | None = None

    def words(self) -> list[str]:
        """The options as they are typed."""
        options = [("--limit", word) for word in self.limit] + [("--ignore", word) for word in self.ignore]
        options += [("--probe", word) for word in self.probes or ()]
        return [f"{option} {shlex.quote(word)}" for option, word in options]


def run_playbook(
    session: Session,
    book: Playbook,
    operator: Operator,
    wishes: Wishes,
    *,
    again: Again,
    answered: bool,
    contract: Contract | None = None,
    unchanged: str = "Nothing was changed.",
    unattended: str = UNATTENDED,
) -> bool:
    """Show the plan, ask unless that is ``answered``, and do it; whether anything was done.

    ``again`` is the command that goes on after a failure. With a ``contract`` exactly that is done, or nothing. Raises
    Refused before anything changes when a step is blocked or the answer is no, with ``unchanged`` to say so and
    ``unattended`` where nobody can answer, and what Runner raises.
    """
    book = book.limited(wishes.limit, session.inventory)

    def go_on(hosts: Sequence[str]) -> str:
        return " ".join([again if isinstance(again, str) else again(hosts), *wishes.words()])

    plan = session.plan(book, lock=True, texts=contract is not None)
    operator.plan(plan)
    if contract:
        contract.agree_with(plan)
    if plan.blocked:
        raise Refused(
            f"{count(len(plan.blocked), 'finding')} above must be settled first. {unchanged}",
            resolution=f"settle them, then run: {go_on([host.name for host in book.hosts(session.inventory)])}",
        )
    if not plan.changes and not plan.unknown:
        return False
    found = () if wishes.probes is None else targets(session, wishes.probes)
    if not answered:
        operator.confirm(_question(plan, contract), unchanged=unchanged, unattended=unattended)
    _act(session, book, plan, found, operator, again=go_on, log=wishes.log, contract=contract)
    return True


def _question(plan: Plan, contract: Contract | None) -> str:
    changes = count(plan.changes, "change")
    if contract is None:
        return f"Make {changes} on the hosts, and what follows from them?"
    open_steps = dict.fromkeys(promise.step for promise in contract.unknown)
    beyond = f", and what turns out to be needed of {', '.join(open_steps)}" if open_steps else ""
    return f"Make {changes} on the hosts as planned on {contract.made}{beyond}?"


def _act(
    session: Session,
    book: Playbook,
    plan: Plan,
    found: Sequence[Target],
    operator: Operator,
    *,
    again: Again,
    log: Path | None,
    contract: Contract | None,
) -> None:
    """Run, with everything that happens told to the operator, in the audit trail, and in ``log`` when there is one."""
    with ExitStack() as stack:
        trail = stack.enter_context(open_trail(session.call, session.inventory.cluster.name, book.name))
        events = stack.enter_context(Lines(log)) if log else None
        durations = known_durations()
        estimate = make_estimate(book, session.inventory, plan, typical(durations))

        def left(record: Record, now: float) -> float | None:
            return estimate.left(record.over, record.in_hand(now))

        show = stack.enter_context(operator.watching(again, left))
        record, recording = Record(), threading.Lock()

        def publish(event: Event) -> None:
            if not isinstance(event, Waiting):
                trail.event(event)
            if events:
                events.event(event)
            with recording:
                record.add(event, time.monotonic())
            show(event)

        try:
            with watching(found, publish):
                session.run(book, publish, trail, contract=contract)
        finally:
            stack.pop_all().close()
            remember_durations(durations, record)
            operator.note(f"What was sent, and what came back: {trail.path}")
            if trail.problem:
                operator.note(f"  lines are missing there: {trail.problem}")
