"""What the verbs share that walk nodes of a running cluster: their options, and the run of their playbook."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    drain_words,
    ignore_option,
    inventory_option,
    log_option,
    sudo_option,
    this_command,
)
from clusterctl.cli.playbooks import ignoring, playbook
from clusterctl.cli.running import run_playbook
from clusterctl.cli.session import Session
from clusterctl.engine.playbook import Playbook

_Command = TypeVar("_Command", bound=Callable[..., Any])


def rolling_options(command: _Command) -> _Command:
    """The options of every such verb."""
    options = (
        inventory_option,
        sudo_option,
        ignore_option,
        click.option("--yes", is_flag=True, help="Do what the plan shows without asking."),
        log_option,
        click.option("-v", "--verbose", is_flag=True, help="Show the steps that are satisfied as well."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def roll(
    verb: str,
    hosts: Sequence[str],
    *,
    ignore: Sequence[str],
    log: Path | None,
    yes: bool,
    verbose: bool,
    batch: int | str | None = None,
    probes: Sequence[str] | None = None,
    prepare: Callable[[Session, Playbook], Playbook] = lambda session, book: book,
) -> None:
    """Run the playbook called ``verb`` on ``hosts``, none meaning all, with ``batch`` workers at once.

    ``prepare`` tells the playbook what the hosts are like when the operator asks.
    """
    book = ignoring(playbook(verb), ignore)
    if batch:
        plays = (replace(play, batch=batch) if play.on == "worker" else play for play in book.plays)
        book = replace(book, plays=tuple(plays))
    options = [*drain_words(), *([f"--batch={batch}"] if batch else [])]
    with open_session() as session:
        book = prepare(session, book.limited(hosts, session.inventory))
        if not run_playbook(
            session,
            book,
            again=lambda left: this_command(verb, *left, *options),
            limit=(),
            ignore=ignore,
            log=log,
            yes=yes,
            diff=False,
            verbose=verbose,
            probes=probes,
        ):
            click.echo("Nothing to do.")
