"""The console: a subscriber that shows a run while it goes, and sums it up at the end.

On a terminal a live block shows what each host does, with finished changes scrolling above it; elsewhere
plain lines, made to be kept and searched. Events may come from several threads.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from clusterctl.engine.events import (
    Event,
    Interrupted,
    Measured,
    Outage,
    PlayStarted,
    Publish,
    RunFinished,
    RunStarted,
    StepChanged,
    StepFailed,
    StepLeft,
    StepSatisfied,
    StepStarted,
    Waiting,
)
from clusterctl.model.secret import redact
from clusterctl.model.words import count
from clusterctl.report.record import Record
from clusterctl.report.summary import Again, summary
from clusterctl.report.words import duration, names, without_prefix

if TYPE_CHECKING:
    from rich.console import RenderableType

# A host that waits is mentioned again after this many seconds without a line about it, or, when it waits
# for something else now, after the shorter time.
_WAITING_EVERY = 10.0
_WAITING_NEWS = 2.0


Left = Callable[[Record, float], float | None]
"""How many seconds a run will still take, None when nobody knows."""


def _nobody_knows(record: Record, now: float) -> float | None:
    return None


@contextmanager
def console(
    again: Again, *, verbose: bool = False, stream: TextIO | None = None, left: Left = _nobody_knows
) -> Iterator[Publish]:
    """Give the subscriber that suits ``stream``, standard output by default, and end its display afterwards.

    ``again`` is the command that goes on after a failure; ``verbose`` shows satisfied steps as well; ``left`` tells
    the time that is left.
    """
    stream = stream or sys.stdout
    if not stream.isatty():
        yield Plain(stream, again, verbose=verbose, left=left)
        return
    live = Live(stream, again, verbose=verbose, left=left)
    with live:
        yield live


class Plain:
    """One line per event, with the seconds since the start: ``12.3s  w1  os/swap-off  changed: no swap is on``."""

    def __init__(
        self,
        stream: TextIO,
        again: Again,
        *,
        verbose: bool = False,
        now: Callable[[], float] = time.monotonic,
        left: Left = _nobody_knows,
    ) -> None:
        self._left = left
        self._stream = stream
        self._again = again
        self._verbose = verbose
        self._now = now
        self._record = Record()
        self._spoke: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        with self._lock:
            now = self._now()
            self._record.add(event, now)
            if isinstance(event, RunFinished):
                self._write(["", *summary(self._record, self._again)])
            elif self._worth_a_line(event, now):
                self._write([self._line(event, now)])

    def _worth_a_line(self, event: Event, now: float) -> bool:
        if isinstance(event, StepSatisfied):
            return self._verbose
        if isinstance(event, Waiting):
            at, message = self._spoke.get(event.host, (float("-inf"), ""))
            pause = _WAITING_EVERY if message in ("", event.message) else _WAITING_NEWS
            if now - at < pause:
                return False
        if isinstance(event, Waiting | StepStarted | StepChanged | StepFailed | StepLeft):
            self._spoke[event.host] = (now, event.message if isinstance(event, Waiting) else "")
        return True

    def _line(self, event: Event, now: float) -> str:
        width = max((len(host) for host in self._record.walks), default=0)
        stamp = f"{now - self._record.began:7.1f}s"
        host = getattr(event, "host", None)
        if host:
            return f"{stamp}  {host:<{width}}  {line(event)}"
        left = self._left(self._record, now) if isinstance(event, PlayStarted) else None
        return f"{stamp}  {line(event)}" + (f"; about {duration(left)} left" if left else "")

    def _write(self, lines: list[str]) -> None:
        # Whoever read the output may have gone (`| head`); the run goes on for the hosts' sake.
        try:
            self._stream.write(redact("".join(f"{text}\n" for text in lines)))
            self._stream.flush()
        except BrokenPipeError:
            self._write = _nowhere  # type: ignore[method-assign]


def _nowhere(lines: list[str]) -> None:
    """Write nothing."""


def line(event: Event) -> str:
    """``event`` in words, without its host."""
    match event:
        case RunStarted():
            return f"{event.playbook}: {count(event.steps, 'step')} on {count(len(event.hosts), 'host')}"
        case PlayStarted():
            return f"play: {event.play} ({names(event.hosts)})"
        case StepStarted():
            return f"{event.step}  {event.title}: {event.reason}"
        case StepSatisfied():
            return f"{event.step}  satisfied: {event.note}"
        case StepChanged():
            return f"{event.step}  changed: {event.note} ({duration(event.seconds)})"
        case StepFailed():
            return f"{event.step}  {_how_it_failed(event)}"
        case StepLeft():
            return f"{event.step}  left: {event.reason} ({duration(event.seconds)})"
        case Waiting():
            step = f"{event.step}  " if event.step else ""
            return f"{step}waiting {duration(event.seconds)}: {event.message}"
        case Interrupted(walking_on=True):
            return "interrupted: each host under way walks to the end of this play; press Ctrl-C again to stop sooner"
        case Interrupted():
            return "interrupted: each host finishes the script in hand; press Ctrl-C again to leave at once"
        case RunFinished():
            return f"{event.playbook}: over after {duration(event.seconds)}"
        case Outage():
            return (
                f"{event.target}: no answer for {_short(event.seconds)}, "
                f"{count(event.lost, 'request')} lost: {event.error}"
            )
        case Measured():
            return _how_available(event)


def _how_available(event: Measured) -> str:
    if not event.asked:
        return f"{event.target}: not measured: no host was there to ask through"
    slowest = f"slowest answer {_short(event.slowest)}"
    asked = f"{count(event.asked, 'request')} in {duration(event.seconds)}"
    if not event.lost:
        return f"{event.target}: {asked}, none lost; {slowest}"
    gaps = count(event.outages, "gap")
    longest = f", the longest {_short(event.longest)}" if event.outages > 1 else ""
    return f"{event.target}: {asked}, {event.lost} lost: {_short(event.down)} in {gaps}{longest}; {slowest}"


def _short(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)


def _how_it_failed(event: StepFailed) -> str:
    what = str(event.error).splitlines()[0]
    words = without_prefix(what, event.host, event.step).removeprefix(f"{event.step} ")
    return words if words.startswith("failed") else f"failed: {words}"


class Live:
    """The live block: each busy host with its step, what it waits for and for how long."""

    def __init__(self, stream: TextIO, again: Again, *, verbose: bool = False, left: Left = _nobody_knows) -> None:
        from rich.console import Console
        from rich.live import Live as Display

        self._left = left
        self._again = again
        self._verbose = verbose
        self._record = Record()
        self._lock = threading.Lock()
        self._console = Console(file=stream, highlight=False, soft_wrap=False)
        self._display = Display(console=self._console, get_renderable=self._block, refresh_per_second=5, transient=True)

    def __enter__(self) -> "Live":
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        now = time.monotonic()
        # The display calls back into _block from its own thread: never print with the lock held.
        with self._lock:
            self._record.add(event, now)
            lines = summary(self._record, self._again) if isinstance(event, RunFinished) else None
        if lines is not None:
            self._display.stop()
            self._console.print(redact("\n".join(["", *lines])), markup=False, soft_wrap=True)
        elif not isinstance(event, Waiting | StepStarted | RunStarted) and (
            self._verbose or not isinstance(event, StepSatisfied)
        ):
            self._scroll(event, now)

    def _scroll(self, event: Event, now: float) -> None:
        from rich.text import Text

        style = {
            Outage: "bold red",
            StepChanged: "green",
            StepFailed: "bold red",
            StepLeft: "yellow",
            Interrupted: "yellow",
            PlayStarted: "bold",
        }
        text = Text()
        text.append(f"{now - self._record.began:7.1f}s  ", style="dim")
        text.append(f"{host}  " if (host := getattr(event, "host", "")) else "", style="bold")
        text.append(redact(line(event)), style=style.get(type(event), "dim"))
        self._console.print(text, soft_wrap=True)

    def _block(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        with self._lock:
            record = self._record
            if not record.playbook:
                return Text()
            busy = [
                (host, walk.step, walk.waits_for or walk.title, now - walk.since)
                for host, walk in record.walks.items()
                if walk.busy
            ]
            idle = [host for host, walk in record.walks.items() if not walk.busy]
            foot = f"{record.playbook}: {record.done} of {count(record.steps, 'step')} done"
            elapsed = now - record.began
            left = self._left(record, now)
            if record.interrupted:
                foot += ", stopping"
        room = max(1, self._console.height - 5)
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(no_wrap=True, style="cyan")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        for host, step, words, seconds in busy[:room]:
            table.add_row(host, step, redact(words), duration(max(0.0, seconds)))
        rows: list[RenderableType] = [table]
        if len(busy) > room:
            rows.append(Text(f"… and {count(len(busy) - room, 'more busy host')}", style="dim"))
        if busy and idle:
            rows.append(Text(f"no step in hand: {names(idle)}", style="dim", no_wrap=True, overflow="ellipsis"))
        rest = f", about {duration(left)} left" if left else ""
        rows.append(Text(f"{foot}, {duration(elapsed)}{rest}", style="bold", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)
