"""The operator at a terminal: reads what is shown, answers questions, watches a run."""

from contextlib import AbstractContextManager

import click

from clusterctl.cli.ask import confirm
from clusterctl.engine.events import Publish
from clusterctl.engine.plan import Plan
from clusterctl.report.console import Left, console
from clusterctl.report.plan import plan_text
from clusterctl.report.summary import Again


class Terminal:
    """Standard output for what was asked for, standard error for what is beside it.

    ``verbose`` shows steps that are satisfied as well, ``diff`` what would change in files.
    """

    def __init__(self, *, verbose: bool = False, diff: bool = False) -> None:
        self._verbose = verbose
        self._diff = diff

    def show(self, text: str) -> None:
        """On standard output."""
        click.echo(text)

    def note(self, text: str) -> None:
        """On standard error."""
        click.echo(text, err=True)

    def plan(self, plan: Plan) -> None:
        """The plan, by host and step."""
        click.echo(plan_text(plan, verbose=self._verbose, diff=self._diff))

    def confirm(self, question: str, *, unchanged: str, unattended: str) -> None:
        """Ask, where somebody is there to answer. Raises Refused for any answer but yes."""
        confirm(question, yes=False, unchanged=unchanged, unattended=unattended)

    def watching(self, again: Again, left: Left) -> AbstractContextManager[Publish]:
        """The console."""
        return console(again, verbose=self._verbose, left=left)
