"""What only the operator can answer: the question before a change, and a password."""

import sys

import click

from clusterctl.errors import InputError, Refused
from clusterctl.model.secret import Secret

# What to do where nobody can answer.
UNATTENDED = "use --yes to go on without the question"


def on_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def confirm(question: str, *, yes: bool, unchanged: str = "Nothing was changed.", unattended: str = UNATTENDED) -> None:
    """Ask ``question`` unless ``yes`` answers it already. Raises Refused, with ``unchanged``, for any other answer.

    ``unattended`` says what to do where nobody can answer.
    """
    if yes:
        return
    if not on_terminal():
        raise Refused(
            f"{question} Nobody can answer: there is no terminal. {unchanged}",
            resolution=unattended,
        )
    if not click.confirm(question, default=False, prompt_suffix=" ", err=True):
        raise Refused(f"The answer was no. {unchanged}", resolution="run the command again when you like")


def password(name: str) -> Secret:
    """Let the operator type a password, which is not shown. Raises InputError when there is no terminal."""
    if not on_terminal():
        raise InputError(
            f"nobody can type {name}: there is no terminal",
            resolution="let the inventory say where it is: ssh: {sudo_password: {env: NAME}} or {file: PATH}",
        )
    return Secret(click.prompt(name, hide_input=True, err=True))
