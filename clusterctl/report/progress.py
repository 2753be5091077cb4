"""Progress of what is usually quick: silent for two seconds, then it says what it does and whom it waits for."""

import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TextIO

from clusterctl.report.words import duration, names

_SILENT = 2.0
_PLAIN_EVERY = 10.0
_TERMINAL_EVERY = 0.5


class Progress:
    """A context: ``with Progress("connecting to", hosts) as progress: … progress.done(host)``.

    On a terminal one line on standard error is rewritten and wiped at the end; elsewhere a line is written now
    and then. ``say`` replaces the words, for a host that is waited for. Safe to use from several threads.
    """

    def __init__(
        self, words: str, hosts: Iterable[str] = (), *, stream: TextIO | None = None, silent: float = _SILENT
    ) -> None:
        self._words = words
        self._waiting = dict.fromkeys(hosts, "")
        self._stream = stream or sys.stderr
        self._silent = silent
        self._terminal = self._stream.isatty()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def done(self, host: str) -> None:
        """``host`` is no longer waited for."""
        with self._lock:
            self._waiting.pop(host, None)

    def say(self, host: str, why: str) -> None:
        """Tell why ``host`` is waited for."""
        with self._lock:
            self._waiting[host] = why

    def now(self, words: str) -> None:
        """Something else is done now."""
        with self._lock:
            self._words = words

    def line(self) -> str:
        """What is done, for whom, and for how long already."""
        with self._lock:
            words, waiting = self._words, dict(self._waiting)
        reasons = "; ".join(f"{host}: {why}" for host, why in waiting.items() if why)
        return f"{words} {names(tuple(waiting))}".rstrip() + (f" ({reasons})" if reasons else "")

    def _show(self) -> None:
        pause, shown = self._silent, False
        while not self._over.wait(pause):
            text = f"{self.line()} … {duration(time.monotonic() - self._began)}"
            self._write(f"\r\x1b[2K{text}" if self._terminal else f"{text}\n")
            pause, shown = _TERMINAL_EVERY if self._terminal else _PLAIN_EVERY, True
        if shown and self._terminal:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._over.set()  # Nobody reads it any more.


class Unseen(Progress):
    """Progress of which nobody is told: for programs, which read events."""

    def _show(self) -> None:
        return
