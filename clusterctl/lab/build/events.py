"""What a build tells while it runs. It prints nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Building:
    """An item is being built: sent when it starts and about every two seconds after that.

    ``done`` of ``total`` items are finished, ``elapsed`` is this item's time so far, and ``expected_left``
    what this item and those after it are expected to take, all in seconds.
    """

    item: str
    done: int
    total: int
    elapsed: float
    expected_left: float


@dataclass(frozen=True)
class Built:
    """An item is complete and in the cache; ``done`` of ``total`` counts it."""

    item: str
    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Noted:
    """Something about an item that its user has to know, such as a version other than the one asked for."""

    item: str
    text: str


BuildEvent = Building | Built | Noted
Report = Callable[[BuildEvent], None]


def expected_left(estimates: tuple[float, ...], elapsed: float) -> float:
    """The seconds that remain of items expected to take ``estimates``, the first running for ``elapsed``."""
    if not estimates:
        return 0.0
    return max(estimates[0] - elapsed, 0.0) + sum(estimates[1:])
