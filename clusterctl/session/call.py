"""Who calls clusterctl, and how: for the audit trail, for the operator's lock, and for commands to paste."""

import getpass
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path


def operator() -> str:
    """Who runs clusterctl, and where: ``user@host``. What sudo hides is told."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _program() -> str:
    """The name of a program that uses clusterctl; its words are its own, and may hold a secret."""
    return Path(sys.argv[0]).name or "python"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of clusterctl, or of a program that uses it.

    ``text`` is what was typed, of clusterctl's own words: they never hold a secret, which come from files and prompts.
    ``options`` are the words that a command on the same inventory begins with, ``drain`` those that
    follow a verb that drains.
    """

    text: str = field(default_factory=_program)
    options: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()

    def command(self, *words: str) -> str:
        """What to type for another command on the same inventory: ``clusterctl -i prod.yaml status``."""
        return " ".join(["clusterctl", *self.options, *words])
