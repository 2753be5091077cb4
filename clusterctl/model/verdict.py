"""What a step's check answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Satisfied:
    """The postcondition holds; ``note`` says what was seen.

    ``warning`` is set where the operator should read the note although nothing stops: every plan shows it.
    """

    note: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Needed:
    """The postcondition does not hold and the step can make it true; ``reason`` is the fact that shows it.

    ``resolution`` says what a person can do about it when it does not come true, where that is known.
    """

    reason: str
    resolution: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Nobody should go on before a person looked; ``resolution`` says at what, with a command to paste."""

    reason: str
    resolution: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer depends on something that an earlier step brings about."""

    reason: str


Verdict = Satisfied | Needed | Blocked | Unknown
