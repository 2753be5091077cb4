"""What the lab tells while it works. It prints nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Working:
    """What happens now, what remains, and how many seconds that is expected to take (0: not known)."""

    what: str
    remaining: str = ""
    expected: float = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """Something its user has to know, worth a line that stays."""

    text: str


Report = Callable[[Working | Told], None]
