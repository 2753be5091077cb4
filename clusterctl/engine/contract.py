"""A saved plan as a contract: a run does what it says, and refuses when the machines have drifted from it.

What a step would send is part of the contract, word for word. Three things are allowed beyond it: that somebody has
done a planned change already; that a step which could not be judged at planning turns out to be needed; and that
steps which change nothing, or only clean up after the run itself, act although they were satisfied.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusterctl.engine.plan import Plan, PlannedStep
from clusterctl.errors import InputError, Refused
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step

_FORMAT = "clusterctl plan, format 1"
_AGAIN = "make a new plan, read it, and run that"


@dataclass(frozen=True, slots=True)
class Promise:
    """What was planned for one step on one host: the verdict's word, and what the step would send."""

    play: str
    host: str
    step: str
    verdict: str
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A plan that was saved: for which inventory and playbook (digests), for which hosts, and every promise.

    ``ignore`` are the findings that the operator decided to ignore.
    """

    made: str
    playbook: str
    digests: Mapping[str, str]
    limit: tuple[str, ...]
    promises: tuple[Promise, ...]
    ignore: tuple[str, ...] = ()

    def count(self, verdict: str) -> int:
        """How many promises have this verdict."""
        return sum(promise.verdict == verdict for promise in self.promises)

    @property
    def unknown(self) -> tuple[Promise, ...]:
        """What could not be judged at planning, and may turn out to be needed."""
        return tuple(promise for promise in self.promises if promise.verdict == "unknown")

    def agree_on(self, digests: Mapping[str, str]) -> None:
        """Raise Refused, naming what differs, unless inventory and playbook are those of the plan."""
        changed = [what for what, digest in self.digests.items() if digests.get(what) != digest]
        if changed:
            raise Refused(
                f"the {' and the '.join(changed)} changed since the plan was made ({self.made}). Nothing was changed.",
                resolution=_AGAIN,
            )

    def agree_with(self, plan: Plan) -> None:
        """Raise Refused, naming every difference, when a run would do anything but what was planned."""
        drift = [
            f"{planned.host}: {planned.step}: {problem}"
            for planned in plan.steps
            if (problem := self._problem(planned.host, planned.step, planned.verdict, planned.text, planned.binding))
        ]
        if drift:
            raise Refused(
                f"the machines differ from the plan of {self.made}. Nothing was changed.",
                details="\n".join(drift),
                resolution=_AGAIN,
            )

    def allow(self, step: Step, situation: Situation, verdict: Needed) -> None:
        """Raise Refused unless this action is one that was planned. Called at the moment of acting."""
        host = situation.host.name
        problem = self._problem(host, step.name, verdict, step.preview(situation), step.binding)
        if problem:
            raise Refused(f"{host}: {step.name} is not what was planned: {problem}", resolution=_AGAIN)

    def _problem(self, host: str, step: str, verdict: Verdict, text: str, binding: bool) -> str:
        """How this verdict breaks every promise made for the step on the host; empty when one of them holds."""
        promises = [promise for promise in self.promises if (promise.host, promise.step) == (host, step)]
        problems = [_broken(promise, verdict, text, binding) for promise in promises]
        return "" if "" in problems else "; ".join(problems) or "it is not in the plan"

    def as_json(self) -> dict[str, object]:
        """The contract as JSON values."""
        return {
            "format": _FORMAT,
            "made": self.made,
            "playbook": self.playbook,
            "digests": dict(self.digests),
            "limit": list(self.limit),
            "ignore": list(self.ignore),
            "steps": [
                {name: getattr(promise, name) for name in ("play", "host", "step", "verdict", "reason", "text")}
                for promise in self.promises
            ],
        }


def _broken(promise: Promise, verdict: Verdict, text: str, binding: bool) -> str:
    if isinstance(verdict, Satisfied):
        return ""
    if isinstance(verdict, Blocked):
        return f"blocked: {verdict.reason}"
    if promise.verdict == "unknown" or not binding:
        return ""
    if promise.verdict == "satisfied":
        return f"it was satisfied ({promise.reason}), and is not any more: {verdict.reason}"
    if isinstance(verdict, Unknown):
        return f"it was needed ({promise.reason}), and cannot be judged any more: {verdict.reason}"
    return "" if text == promise.text else f"it would send another text than planned; now: {verdict.reason}"


def make_contract(
    plan: Plan, *, playbook: str, digests: Mapping[str, str], limit: Iterable[str], ignore: Iterable[str] = ()
) -> Contract:
    """The contract that ``plan`` is; ``playbook`` is how to find the playbook again. Raises Refused when blocked."""
    if plan.blocked:
        raise Refused(
            "a plan with blocked steps is no contract; it was not saved",
            resolution="settle the findings above, then plan again",
        )
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Contract(
        made, playbook, dict(digests), tuple(limit), tuple(_promise(step) for step in plan.steps), tuple(ignore)
    )


def _promise(planned: PlannedStep) -> Promise:
    data = planned.as_json()
    return Promise(planned.play, planned.host, planned.step, str(data["verdict"]), str(data["reason"]), planned.text)


def read_contract(text: str, source: str) -> Contract | None:
    """The contract in ``text``; None when it is none of ours at all. Raises InputError for one that is damaged."""
    try:
        data = json.loads(text)
    except ValueError:
        return None
    if not isinstance(data, dict) or "format" not in data:
        return None
    try:
        if data["format"] != _FORMAT:
            raise ValueError(f"{data['format']!r} is not {_FORMAT!r}")
        return Contract(
            made=data["made"],
            playbook=data["playbook"],
            digests=dict(data["digests"]),
            limit=_words(data["limit"]),
            promises=tuple(_read_promise(step) for step in data["steps"]),
            ignore=_words(data.get("ignore", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source} is not a plan that this version can run: {error}", resolution=_AGAIN) from error


def _words(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(word) for word in words)


def _read_promise(step: Mapping[str, Any]) -> Promise:
    return Promise(**{str(key): str(value) for key, value in step.items()})
