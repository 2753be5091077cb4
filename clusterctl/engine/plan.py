"""The plan: a pure prediction of what a run would do, with the reason for each step."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from clusterctl.engine.playbook import Playbook
from clusterctl.model.inventory import Host, Inventory
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step

_WORDS: dict[type, str] = {Satisfied: "satisfied", Needed: "needed", Blocked: "blocked", Unknown: "unknown"}


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that a step would write: what is there now (None: nothing) and what would be."""

    path: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step on one host, and what its check says now.

    ``text`` is what it would send when it is needed, for a plan that is saved; ``binding`` is the step's. ``anew`` says
    that an earlier step makes the host anew, so that nothing is known of it.
    """

    play: str
    host: str
    step: str
    title: str
    verdict: Verdict
    files: tuple[FileChange, ...] = ()
    text: str = ""
    binding: bool = True
    anew: bool = False

    def as_json(self) -> dict[str, object]:
        """The step as JSON values."""
        verdict = self.verdict
        return {
            "play": self.play,
            "host": self.host,
            "step": self.step,
            "title": self.title,
            "verdict": _WORDS[type(verdict)],
            "reason": verdict.note if isinstance(verdict, Satisfied) else verdict.reason,
            **({"resolution": verdict.resolution} if isinstance(verdict, Blocked) else {}),
            **({"warning": True} if isinstance(verdict, Satisfied) and verdict.warning else {}),
            "files": [change.path for change in self.files],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What a playbook would do, step by step and host by host."""

    playbook: str
    steps: tuple[PlannedStep, ...]

    def count(self, kind: type[Verdict]) -> int:
        """How many steps have this kind of verdict."""
        return Counter(type(step.verdict) for step in self.steps)[kind]

    @property
    def changes(self) -> int:
        """How many steps would change something."""
        return self.count(Needed)

    @property
    def blocked(self) -> tuple[PlannedStep, ...]:
        """The steps that refuse to go on."""
        return tuple(step for step in self.steps if isinstance(step.verdict, Blocked))

    @property
    def unknown(self) -> int:
        """How many steps cannot be judged before an earlier one is done."""
        return self.count(Unknown)

    def as_json(self) -> dict[str, object]:
        """The plan as JSON values."""
        return {
            "playbook": self.playbook,
            "changes": self.changes,
            "blocked": len(self.blocked),
            "unknown": self.unknown,
            "steps": [step.as_json() for step in self.steps],
        }


def make_plan(
    playbook: Playbook, inventory: Inventory, situation: Callable[[Host, Step], Situation], *, texts: bool = False
) -> Plan:
    """Ask every step of ``playbook`` on each of its hosts what it would do. Changes nothing.

    ``texts`` has the plan hold what each needed step would send as well.
    """
    planned: list[PlannedStep] = []
    renewed: dict[str, str] = {}
    for play, host, step in playbook.steps(inventory):
        if host.name in renewed:
            verdict = Unknown(f"known when {renewed[host.name]} has made it anew")
            planned.append(PlannedStep(play.name, host.name, step.name, step.title, verdict, anew=True))
            continue
        planned.append(_planned(play.name, step, situation(host, step), texts=texts))
        if step.renews and isinstance(planned[-1].verdict, Needed | Unknown):
            renewed[host.name] = step.name
    return Plan(playbook.name, tuple(planned))


def _planned(play: str, step: Step, situation: Situation, *, texts: bool) -> PlannedStep:
    verdict = step.check(situation)
    needed = isinstance(verdict, Needed)
    return PlannedStep(
        play,
        situation.host.name,
        step.name,
        step.title,
        verdict,
        files=file_changes(step, situation) if needed else (),
        text=step.preview(situation) if needed and texts else "",
        binding=step.binding,
    )


def file_changes(step: Step, situation: Situation) -> tuple[FileChange, ...]:
    """The files that ``step`` would write differently from what is on the host."""
    changes = []
    for file in step.files(situation):
        before = situation.facts.file(file.path)
        if before != file.content:
            changes.append(FileChange(file.path, before, file.content))
    return tuple(changes)
