"""The question before a change."""

import sys

import click

from clusterctl.errors import Refused


def on_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask ``question`` unless ``yes`` answers it already. Raises Refused unless the answer is yes."""
    if yes:
        return
    if not on_terminal():
        raise Refused(
            f"{question} Nobody can answer: there is no terminal. Nothing was changed.",
            resolution="use --yes to go on without the question",
        )
    if not click.confirm(question, default=False, prompt_suffix=" ", err=True):
        raise Refused("The answer was no. Nothing was changed.", resolution="run the command again when you like")
