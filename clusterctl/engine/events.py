"""Everything that happens, as frozen values. Console, log and tests subscribe; steps never print.

Times are seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from clusterctl.errors import ClusterctlError


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A playbook begins on these hosts, with this many pairs of host and step."""

    playbook: str
    hosts: tuple[str, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class PlayStarted:
    """A play begins; everything before it is done on every host."""

    play: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A host is about to change: its check said Needed, for ``reason``."""

    host: str
    step: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepSatisfied:
    """Nothing to do; ``note`` says what was seen."""

    host: str
    step: str
    note: str


@dataclass(frozen=True, slots=True)
class StepChanged:
    """The change was applied, and its postcondition was then seen to hold."""

    host: str
    step: str
    note: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The step ended with ``error``; this host walks no further."""

    host: str
    step: str
    error: ClusterctlError
    seconds: float


@dataclass(frozen=True, slots=True)
class StepLeft:
    """The wait for the step's postcondition was cut short by the wish to stop; ``reason`` says what was missing."""

    host: str
    step: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step waits; ``message`` says for what, ``seconds`` for how long already."""

    host: str
    step: str
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The operator asked to stop: scripts in hand are finished, waits are cut short, nothing new is started.

    ``walking_on`` says that hosts which have begun an undivided play walk to its end first.
    """

    walking_on: bool = False


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run is over. ``left`` names pairs of host and step that were not reached."""

    playbook: str
    changed: int
    satisfied: int
    failed: int
    left: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Outage:
    """``target`` gave no answer for ``seconds``, from ``began`` (of the clock) on; ``error`` is what was said first."""

    target: str
    began: float
    seconds: float
    lost: int
    error: str


@dataclass(frozen=True, slots=True)
class Measured:
    """How available ``target`` was during the ``seconds`` that it was watched.

    ``lost`` of ``asked`` requests had no answer, in so many ``outages``; together these took ``down`` seconds, the
    longest one ``longest``. The ``slowest`` answer took so many seconds.
    """

    target: str
    asked: int
    lost: int
    outages: int
    down: float
    longest: float
    slowest: float
    seconds: float


Event = (
    RunStarted
    | PlayStarted
    | StepStarted
    | StepSatisfied
    | StepChanged
    | StepFailed
    | StepLeft
    | Waiting
    | Interrupted
    | RunFinished
    | Outage
    | Measured
)
Publish = Callable[[Event], None]
