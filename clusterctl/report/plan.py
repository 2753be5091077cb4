"""A plan as an operator reads it: by play, hosts with the same news on one line, blocked findings at the end."""

import difflib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from clusterctl.engine.plan import FileChange, Plan, PlannedStep
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.model.words import count
from clusterctl.report.style import styled
from clusterctl.report.words import names

_SIGNS: dict[type, tuple[str, str]] = {
    Needed: ("+", "yellow"),
    Unknown: ("?", "cyan"),
    Blocked: ("!", "red"),
    Satisfied: ("=", "green"),
}

_WARNING = ("~", "magenta")


class _Row(NamedTuple):
    hosts: tuple[str, ...]
    step: PlannedStep
    reason: str


def plan_text(plan: Plan, *, verbose: bool = False, diff: bool = False) -> str:
    """The plan in words; ``verbose`` lists satisfied steps, ``diff`` shows what files would change.

    It is coloured; who does not write to a terminal takes that out again.
    """
    return "\n".join([*_plays(plan, verbose=verbose, diff=diff), *_blocked(plan), counts(plan)])


def counts(plan: Plan) -> str:
    """``bootstrap: 12 changes (+), 1 blocked (!), 20 satisfied (=).``"""
    parts = [f"{count(plan.changes, 'change')} (+)"] if plan.changes else ["no changes"]
    if plan.unknown:
        parts.append(f"{plan.unknown} not known before those are made (?)")
    if plan.blocked:
        parts.append(styled(f"{len(plan.blocked)} blocked (!)", fg="red", bold=True))
    warnings = sum(_warns(step) for step in plan.steps)
    if warnings:
        parts.append(f"{count(warnings, 'warning')} (~)")
    parts.append(f"{plan.count(Satisfied) - warnings} satisfied (=)")
    return styled(f"{plan.playbook}: ", bold=True) + ", ".join(parts) + "."


def _plays(plan: Plan, *, verbose: bool, diff: bool) -> Iterator[str]:
    for play in dict.fromkeys(step.play for step in plan.steps):
        steps = [step for step in plan.steps if step.play == play]
        satisfied = sum(_quiet(step) for step in steps)
        rows = _fold(step for step in steps if (verbose or not _quiet(step)) and not step.anew)
        rows += _anew(step for step in steps if step.anew)
        note = styled(f"  ({satisfied} satisfied)", dim=True) if satisfied else ""
        yield styled(play, bold=True) + note
        hosts_width = max((len(names(row.hosts)) for row in rows), default=0)
        step_width = max((len(row.step.step) for row in rows), default=0)
        for row in rows:
            sign, colour = _WARNING if _warns(row.step) else _SIGNS[type(row.step.verdict)]
            yield (
                f"  {styled(sign, fg=colour)} {names(row.hosts):<{hosts_width}}  "
                f"{row.step.step:<{step_width}}  {row.reason}"
            )
            if diff:
                for change in row.step.files:
                    yield from (f"      {line}" for line in file_diff(change))
        yield ""


def _fold(steps: Iterable[PlannedStep]) -> list[_Row]:
    """Hosts of which the same step says the same, and would write the same, on one row.

    A reason that begins with the host's own name counts as the same: "w1 is not a node yet".
    """
    groups: dict[tuple[object, ...], list[PlannedStep]] = {}
    for step in steps:
        resolution = step.verdict.resolution if isinstance(step.verdict, Blocked) else ""
        key = (step.step, type(step.verdict), _warns(step), _reason(step, step.host), resolution, step.files)
        groups.setdefault(key, []).append(step)
    rows = []
    for group in groups.values():
        hosts = tuple(dict.fromkeys(step.host for step in group))
        rows.append(_Row(hosts, group[0], _reason(group[0], hosts[0] if len(hosts) > 1 else "")))
    return rows


def _anew(steps: Iterable[PlannedStep]) -> Iterator[_Row]:
    """One row for all that a host does after it was made anew."""
    for host, group in itertools.groupby(steps, lambda step: step.host):
        first, *more = group
        name = f"{first.step} and {len(more)} more" if more else first.step
        yield _Row((host,), replace(first, step=name), _reason(first, ""))


def _blocked(plan: Plan) -> Iterator[str]:
    if not plan.blocked:
        return
    yield styled("Blocked: settle these first", fg="red", bold=True)
    for row in _fold(plan.blocked):
        verdict = row.step.verdict
        yield f"  {names(row.hosts)}: {row.step.step}: {row.reason}"
        if isinstance(verdict, Blocked):
            yield f"    {styled('Next:', bold=True)} {verdict.resolution}"
    yield ""


def _warns(step: PlannedStep) -> bool:
    return isinstance(step.verdict, Satisfied) and step.verdict.warning


def _quiet(step: PlannedStep) -> bool:
    return isinstance(step.verdict, Satisfied) and not step.verdict.warning


def _reason(step: PlannedStep, without: str) -> str:
    reason = step.verdict.note if isinstance(step.verdict, Satisfied) else step.verdict.reason
    return reason.removeprefix(f"{without} ")


def file_diff(change: FileChange) -> Iterator[str]:
    """A unified diff from what is on the host to what would be."""
    before = (change.before or "").splitlines()
    colours = {"+": "green", "-": "red", "@": "cyan"}
    lines = difflib.unified_diff(
        before,
        change.after.splitlines(),
        change.path if change.before is not None else "/dev/null",
        change.path,
        lineterm="",
    )
    for line in lines:
        yield styled(line, fg=colours.get(line[:1]))
