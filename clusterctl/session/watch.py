"""What a script on a host is at, told while it runs: its last line, read by a second look on the side."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from clusterctl.errors import ClusterctlError
from clusterctl.steps.step import Machine

# Seconds before the first look, and between looks.
_EVERY = 2.0


def watched_machine(machine: Machine, glance: Callable[[], str], say: Callable[[str], None]) -> Machine:
    """``machine``; while a script runs there, ``say`` is told what ``glance`` sees.

    So a package lock is waited for in sight: apt writes who holds it, and for how long nobody else can act.
    """
    return cast(Machine, _Watched(machine, glance, say))


class _Watched:
    def __init__(self, machine: Machine, glance: Callable[[], str], say: Callable[[str], None]) -> None:
        self._machine = machine
        self._glance = glance
        self._say = say

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._machine, name)
        if name != "run":
            return member

        def run(*arguments: Any, **more: Any) -> Any:
            with _watching(self._glance, self._say):
                return member(*arguments, **more)

        return run


@contextmanager
def _watching(glance: Callable[[], str], say: Callable[[str], None]) -> Iterator[None]:
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY):
            try:
                line = glance()
            except ClusterctlError:
                return  # The script's own end tells what is wrong.
            if line and not over.is_set():
                say(line)

    # A look that hangs on a broken connection must not hold up the end of the script.
    threading.Thread(target=watch, name="glance", daemon=True).start()
    try:
        yield
    finally:
        over.set()
