"""How long what is left of a run will take, from how long each step took in earlier runs."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from clusterctl.engine.plan import Plan
from clusterctl.engine.playbook import Playbook
from clusterctl.model.inventory import Inventory
from clusterctl.model.verdict import Needed, Unknown
from clusterctl.report.record import Record

_KEPT = 5
_Walk = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What will act: plays, in each its batches, in each the hosts with their steps; and the seconds of each step."""

    plays: tuple[tuple[tuple[_Walk, ...], ...], ...]
    seconds: Mapping[str, float]

    def left(self, over: Collection[tuple[str, str]], in_hand: Mapping[tuple[str, str], float]) -> float | None:
        """The seconds that are left; None when a step that is left was never timed.

        ``over`` are the pairs of host and step that are done, ``in_hand`` those under way, with their seconds so far.
        """

        def walk(host: str, steps: tuple[str, ...]) -> float:
            return sum(
                max(0.0, self.seconds[step] - in_hand.get((host, step), 0.0))
                for step in steps
                if (host, step) not in over
            )

        try:
            return sum(max((walk(*each) for each in batch), default=0.0) for play in self.plays for batch in play)
        except KeyError:
            return None


def make_estimate(playbook: Playbook, inventory: Inventory, plan: Plan, seconds: Mapping[str, float]) -> Estimate:
    """An estimate for a run of ``plan``: hosts of a batch walk at once, batches and plays one after the other."""
    acting = {(each.host, each.step) for each in plan.steps if isinstance(each.verdict, Needed | Unknown)}
    return Estimate(
        tuple(
            tuple(
                tuple(
                    (host.name, tuple(step.name for step in play.run if (host.name, step.name) in acting))
                    for host in batch
                )
                for batch in play.batches(inventory)
            )
            for play in playbook.plays
        ),
        seconds,
    )


def read_durations(path: Path) -> dict[str, list[float]]:
    """The seconds of each step in the last runs; nothing when there were none, or the file is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(step): [float(each) for each in runs][-_KEPT:] for step, runs in data.items() if runs}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def typical(durations: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each step."""
    return {step: median(runs) for step, runs in durations.items()}


def durations_text(durations: Mapping[str, list[float]], record: Record) -> str:
    """The file's text with this run added: of each step that acted, the seconds on its slowest host."""
    failed = {event.step for event in record.failures}
    new = {
        step: [*durations.get(step, []), round(max(seconds.values()), 1)][-_KEPT:]
        for step, seconds in record.step_seconds.items()
        if step not in failed
    }
    return json.dumps({**durations, **new}, indent=1, sort_keys=True) + "\n"
