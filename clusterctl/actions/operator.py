"""Whoever asks for an action: is shown what comes out, is asked before a change, and watches a run."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from clusterctl.engine.events import Event, Publish
from clusterctl.engine.plan import Plan
from clusterctl.report.console import Left
from clusterctl.report.summary import Again

# What to do where nobody can answer.
UNATTENDED = "use --yes to go on without the question"


class Operator(Protocol):
    """The other side of an action. A terminal is one, a program another."""

    def show(self, text: str) -> None:
        """Show a part of what was asked for."""

    def note(self, text: str) -> None:
        """Say something beside it."""

    def plan(self, plan: Plan) -> None:
        """Show what a run would do."""

    def confirm(self, question: str, *, unchanged: str, unattended: str) -> None:
        """Ask ``question``. Raises Refused for any answer but yes, with ``unchanged`` to say so.

        ``unattended`` says what to do where nobody can answer.
        """

    def watching(self, again: Again, left: Left) -> AbstractContextManager[Publish]:
        """The subscriber for the events of a run, until it has ended; it is called from several threads.

        ``again`` is the command that goes on after a failure, ``left`` tells the time that is left.
        """


class Program:
    """A program as the operator: it has decided before it called, and reads events instead of texts."""

    def __init__(self, subscriber: Publish | None = None) -> None:
        self._subscriber = subscriber or _nobody

    def show(self, text: str) -> None:
        """A program reads the events."""

    def note(self, text: str) -> None:
        """A program reads the events."""

    def plan(self, plan: Plan) -> None:
        """A program that wants the plan asks for it before."""

    def confirm(self, question: str, *, unchanged: str, unattended: str) -> None:
        """The call is the answer."""

    @contextmanager
    def watching(self, again: Again, left: Left) -> Iterator[Publish]:
        """The program's own subscriber."""
        yield self._subscriber


def _nobody(event: Event) -> None:
    return
