"""What has happened so far in a run, as its events told it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from clusterctl.engine.events import (
    Event,
    Interrupted,
    PlayStarted,
    RunFinished,
    RunStarted,
    StepChanged,
    StepFailed,
    StepLeft,
    StepSatisfied,
    StepStarted,
    Waiting,
)


@dataclass
class Walk:
    """One host's way through the playbook. ``since`` is when the step in hand began."""

    step: str = ""
    title: str = ""
    waits_for: str = ""
    since: float = 0.0
    changed: int = 0
    satisfied: int = 0
    failed: str = ""
    seconds: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether a step is in hand, or something is waited for."""
        return bool(self.step or self.waits_for)


@dataclass
class Span:
    """One host's work in a play: from the start of its first change to the end of its last, and each step's seconds."""

    host: str
    began: float
    ended: float
    steps: dict[str, float] = field(default_factory=dict)


@dataclass
class Record:
    """The run so far. Not safe to share between threads: its owner locks.

    ``step_seconds`` has, for each step that acted, the seconds it took on each host; ``spans`` who worked in each
    play, and when; ``over`` the pairs of host and step that are done.
    """

    playbook: str = ""
    play: str = ""
    began: float = 0.0
    steps: int = 0
    done: int = 0
    walks: dict[str, Walk] = field(default_factory=dict)
    step_seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    failures: list[StepFailed] = field(default_factory=list)
    interrupted: bool = False
    finished: RunFinished | None = None
    over: set[tuple[str, str]] = field(default_factory=set)
    spans: dict[str, dict[str, Span]] = field(default_factory=dict)

    def add(self, event: Event, now: float) -> None:
        """Take ``event``, which happened at ``now``."""
        match event:
            case RunStarted():
                self.playbook, self.steps, self.began = event.playbook, event.steps, now
                self.walks = {host: Walk() for host in event.hosts}
            case PlayStarted():
                self.play = event.play
                self.spans.setdefault(event.play, {})
            case StepStarted():
                walk = self._walk(event.host)
                walk.step, walk.title, walk.waits_for, walk.since = event.step, event.title, "", now
            case Waiting():
                walk = self._walk(event.host)
                if not walk.busy:
                    walk.since = now - event.seconds
                walk.step, walk.waits_for = event.step, event.message
            case StepSatisfied():
                walk = self._walk(event.host)
                walk.satisfied += 1
                self.over.add((event.host, event.step))
                self._idle(walk)
                self.done += 1
            case StepChanged():
                walk = self._walk(event.host)
                walk.changed += 1
                self.over.add((event.host, event.step))
                self._took(walk, event, now)
                self.done += 1
            case StepFailed():
                walk = self._walk(event.host)
                walk.failed = event.step
                self._took(walk, event, now)
                self.failures.append(event)
            case StepLeft():
                self._idle(self._walk(event.host))
            case Interrupted():
                self.interrupted = True
            case RunFinished():
                self.finished = event

    def slowest_steps(self, most: int) -> Sequence[tuple[str, dict[str, float]]]:
        """The steps that took longest on one host, with the seconds on each host."""
        return sorted(self.step_seconds.items(), key=lambda item: -max(item[1].values()))[:most]

    def left(self) -> dict[str, list[str]]:
        """The steps that each host lacks, in the playbook's order."""
        left: dict[str, list[str]] = {}
        for host, step in self.finished.left if self.finished else ():
            left.setdefault(host, []).append(step)
        return left

    def _walk(self, host: str) -> Walk:
        return self.walks.setdefault(host, Walk())

    def in_hand(self, now: float) -> dict[tuple[str, str], float]:
        """The steps under way, and for how many seconds already."""
        return {(host, walk.step): now - walk.since for host, walk in self.walks.items() if walk.step}

    def critical_path(self) -> list[tuple[str, Span]]:
        """The work that the run's end waited for: play by play, the hosts that ended last, in their order."""
        path: list[tuple[str, Span]] = []
        for play, spans in self.spans.items():
            links: list[Span] = []
            rest = list(spans.values())
            while rest:
                last = max(rest, key=lambda span: span.ended)
                links.insert(0, last)
                # The batch before ended when this one began.
                rest = [span for span in rest if span is not last and span.ended <= last.began]
            path += [(play, span) for span in links]
        return path

    def _took(self, walk: Walk, event: StepChanged | StepFailed, now: float) -> None:
        walk.seconds += event.seconds
        span = self.spans.setdefault(self.play, {}).setdefault(event.host, Span(event.host, now - event.seconds, now))
        span.ended = now
        span.steps[event.step] = span.steps.get(event.step, 0.0) + event.seconds
        seconds = self.step_seconds.setdefault(event.step, {})
        seconds[event.host] = seconds.get(event.host, 0.0) + event.seconds
        self._idle(walk)

    def _idle(self, walk: Walk) -> None:
        walk.step = walk.title = walk.waits_for = ""
