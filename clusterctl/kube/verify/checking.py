"""Look until something is so, or cannot become so, or time is up; and keep what was seen."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clusterctl.errors import ClusterctlError
from clusterctl.kube.connect.client import Kube

HOPELESS = 30.0
"""For how many seconds what waiting does not mend is waited for nevertheless: two tries to pull an image."""

_CLEAN_UP = 120.0
_LOOK_EVERY = 0.5
_SAY_EVERY = 2.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is so, what was seen, and how long it took to become so.

    ``measured`` are the numbers behind ``detail``, such as ``{"requests": 312, "lost": 0, "worst_ms": 41}``.
    """

    name: str
    ok: bool
    detail: str
    seconds: float
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look showed. No problems: it is so, and ``note`` says what is.

    ``hopeless``: the problems are of a kind that waiting does not mend. ``final``: there is nothing to wait for.
    """

    problems: Sequence[str] = ()
    note: str = ""
    hopeless: bool = False
    final: bool = False
    measured: Mapping[str, float] = field(default_factory=dict)


class Stop(Exception):
    """A check failed on which all others depend."""


class Run:
    """The checks so far, and the time that is left."""

    def __init__(self, kube: Kube, report: Report, end: float) -> None:
        self.kube = kube
        self.report = report
        self.checks: list[Check] = []
        self.end = end

    def check(self, name: str, look: Callable[[], Seen]) -> None:
        """Look until there is no problem or time is up. Raises Stop in the second case."""
        if not self._look(name, look, self.end):
            raise Stop

    def check_all(self, looks: Mapping[str, Callable[[], Seen]]) -> None:
        """Check several things that do not depend on each other: all are looked at, even when one fails."""
        results = [self._look(name, look, self.end) for name, look in looks.items()]
        if not all(results):
            raise Stop

    def clean_up(self, name: str, look: Callable[[], Seen]) -> None:
        """Check with a time of its own, which does not depend on how the others went."""
        self._look(name, look, time.monotonic() + _CLEAN_UP)

    def _look(self, name: str, look: Callable[[], Seen], end: float) -> bool:
        began = said = time.monotonic()
        hopeless_since = None
        while True:
            try:
                seen = look()
            except ClusterctlError as error:
                seen = Seen([error.what])
            now = time.monotonic()
            hopeless_since = (hopeless_since or now) if seen.hopeless else None
            given_up = hopeless_since is not None and now - hopeless_since >= HOPELESS
            if not seen.problems or seen.final or given_up or now >= end:
                self._keep(name, seen, now - began, given_up=given_up)
                return not seen.problems
            if now - said >= _SAY_EVERY:
                said = now
                more = f" (and {len(seen.problems) - 1} more)" if len(seen.problems) > 1 else ""
                self.report(f"{name}: waiting for {now - began:.0f} s: {seen.problems[0]}{more}")
            time.sleep(min(_LOOK_EVERY, max(0.0, end - now)))

    def _keep(self, name: str, seen: Seen, seconds: float, *, given_up: bool) -> None:
        problems = list(seen.problems)
        if given_up:
            problems.append(f"this lasted for {HOPELESS:.0f} s, and waiting does not mend it")
        detail = "\n".join(problems) if problems else seen.note
        self.checks.append(Check(name, not problems, detail, seconds, seen.measured))
        first = detail.partition("\n")[0]
        self.report(f"{name}: {first}" if not problems else f"{name}: FAILED: {first}")
