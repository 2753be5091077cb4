"""How available something was during a run: it is asked all the time, and every gap is told with its length."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from clusterctl.engine.events import Measured, Outage, Publish

# Seconds between two questions.
EVERY = 0.2


class Watch:
    """Asks ``target`` in a thread of its own until the end of a ``with`` block, and publishes what was seen.

    ``ask`` raises OSError when there is no answer, and returns False when it could not ask, which says nothing of the
    target. An outage lasts from the first question without an answer to the next answer.
    """

    def __init__(self, target: str, ask: Callable[[], bool], publish: Publish, *, every: float = EVERY) -> None:
        self._target = target
        self._ask = ask
        self._publish = publish
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watch {target}", daemon=True)
        self._asked = self._lost = self._outages = 0
        self._down = self._longest = self._slowest = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        since, lost, reason = 0.0, 0, ""
        over = False
        while not over:
            asked = time.monotonic()
            try:
                known = self._ask()
            except OSError as error:
                if not lost:
                    since, reason = asked, _words(error)
                lost += 1
                self._asked += 1
            else:
                if known and lost:
                    self._outage(since, lost, reason)
                    lost = 0
                if known:
                    self._slowest = max(self._slowest, time.monotonic() - asked)
                    self._asked += 1
            over = self._over.wait(self._every)
        if lost:
            self._outage(since, lost, reason)
        self._publish(
            Measured(
                self._target,
                self._asked,
                self._lost,
                self._outages,
                self._down,
                self._longest,
                self._slowest,
                time.monotonic() - began,
            )
        )

    def _outage(self, since: float, lost: int, reason: str) -> None:
        seconds = time.monotonic() - since
        self._lost += lost
        self._outages += 1
        self._down += seconds
        self._longest = max(self._longest, seconds)
        self._publish(Outage(self._target, time.time() - seconds, seconds, lost, reason))


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
