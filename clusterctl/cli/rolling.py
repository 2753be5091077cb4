"""What the verbs share that walk nodes of a running cluster: their options, and the call."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from clusterctl.actions import rolling
from clusterctl.actions.running import Wishes
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    ignore_option,
    inventory_option,
    log_option,
    sudo_option,
    verbose_option,
    yes_option,
)
from clusterctl.cli.terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])


def rolling_options(command: _Command) -> _Command:
    """The options of every such verb."""
    options = (
        inventory_option,
        sudo_option,
        ignore_option,
        yes_option,
        log_option,
        verbose_option,
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
) -> None:
    """Run the playbook called ``verb`` on ``hosts``, none meaning all, with ``batch`` workers at once."""
    with open_session() as session:
        wishes = Wishes((), ignore, log, probes)
        if not rolling.roll(session, Terminal(verbose=verbose), verb, hosts, wishes, answered=yes, batch=batch):
            click.echo("Nothing to do.")
