"""From a playbook to a finished run: the plan, the question, the run. What ``bootstrap`` and ``run`` share."""

import os
import shlex
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import click

from clusterctl.cli.ask import UNATTENDED, confirm
from clusterctl.cli.audit import open_trail, state_folder
from clusterctl.cli.probing import Target, targets, watching
from clusterctl.cli.session import Session
from clusterctl.engine.contract import Contract
from clusterctl.engine.events import Event, Waiting
from clusterctl.engine.plan import Plan
from clusterctl.engine.playbook import Playbook
from clusterctl.errors import Refused
from clusterctl.model.words import count
from clusterctl.report.console import console
from clusterctl.report.estimate import durations_text, make_estimate, read_durations, typical
from clusterctl.report.ndjson import Lines
from clusterctl.report.plan import plan_text
from clusterctl.report.record import Record
from clusterctl.report.summary import Again

DURATIONS = "durations.json"


def run_playbook(
    session: Session,
    book: Playbook,
    *,
    again: Again,
    limit: Sequence[str],
    ignore: Sequence[str],
    log: Path | None,
    yes: bool,
    diff: bool,
    verbose: bool,
    contract: Contract | None = None,
    probes: Sequence[str] | None = None,
    unchanged: str = "Nothing was changed.",
    unattended: str = UNATTENDED,
) -> bool:
    """Show the plan, ask, and do it; whether anything was done. ``again`` is the command that goes on after a failure.

    With ``probes``, which may be empty, the API endpoint and what they name are watched while it runs.

    With a ``contract`` exactly that is done, or nothing. Raises Refused before anything changes when a step is
    blocked or the answer is no, with ``unchanged`` to say so and ``unattended`` where nobody can answer, and what
    Runner raises.
    """
    options = [("--limit", word) for word in limit] + [("--ignore", word) for word in ignore]
    options += [("--probe", word) for word in probes or ()]
    words = [f"{option} {shlex.quote(word)}" for option, word in options]
    book = book.limited(limit, session.inventory)

    def go_on(hosts: Sequence[str]) -> str:
        return " ".join([again if isinstance(again, str) else again(hosts), *words])

    plan = session.plan(book, lock=True, texts=contract is not None)
    click.echo(plan_text(plan, verbose=verbose, diff=diff))
    if contract:
        contract.agree_with(plan)
    if plan.blocked:
        raise Refused(
            f"{count(len(plan.blocked), 'finding')} above must be settled first. {unchanged}",
            resolution=f"settle them, then run: {go_on([host.name for host in book.hosts(session.inventory)])}",
        )
    if not plan.changes and not plan.unknown:
        return False
    found = () if probes is None else targets(session, probes)
    confirm(_question(plan, contract), yes=yes, unchanged=unchanged, unattended=unattended)
    _act(session, book, plan, found, again=go_on, log=log, verbose=verbose, contract=contract)
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
    *,
    again: Again,
    log: Path | None,
    verbose: bool,
    contract: Contract | None,
) -> None:
    """Run, with everything that happens on the console, in the audit trail, and in ``log`` when there is one."""
    with ExitStack() as stack:
        trail = stack.enter_context(open_trail(session.inventory.cluster.name, book.name))
        events = stack.enter_context(Lines(log)) if log else None
        durations = read_durations(state_folder() / DURATIONS)
        estimate = make_estimate(book, session.inventory, plan, typical(durations))

        def left(record: Record, now: float) -> float | None:
            return estimate.left(record.over, record.in_hand(now))

        show = stack.enter_context(console(again, verbose=verbose, left=left))
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
            _remember(durations_text(durations, record))
            _tell(trail)


def _remember(text: str) -> None:
    """Keep how long steps took, for the next run's estimate. It is of no account when that cannot be written."""
    path = state_folder() / DURATIONS
    with suppress(OSError):
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def _tell(trail: Lines) -> None:
    click.echo(f"What was sent, and what came back: {trail.path}", err=True)
    if trail.problem:
        click.echo(f"  lines are missing there: {trail.problem}", err=True)
