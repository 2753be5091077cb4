"""What a lab does, on standard error: a live line on a terminal, else plain lines now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterctl.lab.progress import Report, Told, Working

if TYPE_CHECKING:
    from rich.text import Text


class _Now:
    """The live line: what happens, for how long, what remains, and how long that may take."""

    def __init__(self) -> None:
        self.working: Working | None = None
        self.since = time.monotonic()

    def change(self, working: Working) -> None:
        if self.working is None or self.working.what != working.what:
            self.since = time.monotonic()
        self.working = working

    def line(self) -> str:
        if self.working is None:
            return ""
        parts = [f"{self.working.what} ({time.monotonic() - self.since:.0f} s)"]
        if self.working.remaining:
            parts.append(self.working.remaining)
        if self.working.expected:
            parts.append(f"about {self.working.expected:.0f} s expected")
        return "; ".join(parts)

    def __rich__(self) -> "Text":
        from rich.text import Text

        return Text(self.line(), style="dim")


@contextmanager
def progress() -> Iterator[Report]:
    """Show what a lab does on standard error: a live line on a terminal, else plain lines now and then."""
    now = _Now()
    if not sys.stderr.isatty():
        yield _plain(now)
        return

    from rich.console import Console
    from rich.live import Live

    with Live(now, console=Console(stderr=True), refresh_per_second=4, transient=True) as live:

        def report(event: Working | Told) -> None:
            if isinstance(event, Told):
                live.console.print(event.text, markup=False, highlight=False)
            else:
                now.change(event)

        yield report


def _plain(now: _Now, every: float = 10) -> Report:
    last = ("", 0.0)

    def report(event: Working | Told) -> None:
        nonlocal last
        if isinstance(event, Told):
            sys.stderr.write(f"{event.text}\n")
            return
        now.change(event)
        if event.what != last[0] or time.monotonic() - last[1] > every:
            last = (event.what, time.monotonic())
            sys.stderr.write(f"{now.line()}\n")

    return report
