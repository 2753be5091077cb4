"""What draining nodes would meet, as an operator reads it, and as JSON values."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from clusterctl.model.words import count
from clusterctl.report.style import styled
from clusterctl.report.tables import table
from clusterctl.report.words import duration, names
from clusterctl.rules.forecast import Forecast

_SHOWN = 5
_HEADINGS = ("NODE", "MOVE", "HELD", "NOWHERE TO GO", "IN TURNS", "INTERRUPTED OR LOST", "TIME")


def forecast_text(forecasts: Sequence[Forecast], *, earlier: float | None = None) -> str:
    """A table of the nodes, then each with what there is to tell. ``earlier`` is how long earlier drains took."""
    rows = [
        (
            each.node,
            str(len(each.moving)),
            _number(len(_held(each))),
            _number(len(each.stranded)),
            _number(sum(len(wait.pods) for wait in each.waits)),
            _number(len(each.losses)),
            f"up to {duration(each.seconds)}" if each.moving else "-",
        )
        for each in forecasts
    ]
    lines = [*table(rows, headings=_HEADINGS), ""]
    for each in forecasts:
        told = list(_told(each))
        if told:
            lines += [styled(each.node, bold=True), *told, ""]
    return "\n".join([*lines, *_verdict(forecasts, earlier)])


def forecast_json(forecasts: Sequence[Forecast], *, earlier: float | None = None) -> dict[str, Any]:
    """The forecasts as JSON values."""
    return {
        "held": [each.node for each in forecasts if is_held(each)],
        "earlier_seconds": earlier,
        "nodes": [
            {
                "node": each.node,
                "moving": [str(pod) for pod in each.moving],
                "unmanaged": [{"pod": str(kept.pod), "reason": kept.reason} for kept in each.unmanaged],
                "emptydir": [{"pod": str(kept.pod), "reason": kept.reason} for kept in each.emptydir],
                "blocks": [
                    {
                        "pods": [str(pod) for pod in block.pods],
                        "reason": block.reason,
                        "resolution": block.remedy,
                        "may_pass": block.passing,
                    }
                    for block in each.blocks
                ],
                "in_turns": [
                    {
                        "budget": str(wait.budget),
                        "pods": [str(pod) for pod in wait.pods],
                        "at_a_time": wait.budget.disruptions_allowed,
                    }
                    for wait in each.waits
                ],
                "nowhere_to_go": [{"pod": str(lost.pod), "reason": lost.why} for lost in each.stranded],
                "losses": list(each.losses),
                "seconds": each.seconds,
            }
            for each in forecasts
        ],
    }


def is_held(forecast: Forecast) -> bool:
    """Whether the node cannot be drained as it is, or some of its pods would be left without a node."""
    return bool(_held(forecast) or forecast.stranded)


def earlier_drains(durations: Mapping[str, list[float]]) -> float | None:
    """How many seconds drains took in earlier runs, in the middle; None when there were none."""
    found = [seconds for step, runs in durations.items() if step.endswith("/drain") for seconds in runs]
    return median(found) if found else None


def _held(forecast: Forecast) -> set[str]:
    """The pods that something keeps from being evicted."""
    return {
        *(str(kept.pod) for kept in (*forecast.unmanaged, *forecast.emptydir)),
        *(str(pod) for block in forecast.blocks for pod in block.pods),
    }


def _number(number: int) -> str:
    return str(number) if number else "-"


def _told(forecast: Forecast) -> Iterator[str]:
    held = [(block.reason, block.remedy) for block in forecast.blocks]
    held += [(f"{kept.pod} {kept.reason}", kept.remedy) for kept in (*forecast.unmanaged, *forecast.emptydir)]
    for reason, remedy in held:
        yield f"  {styled('!', fg='red')} {reason}"
        yield f"    {styled('Next:', bold=True)} {remedy}"
    for lost in forecast.stranded:
        yield f"  {styled('!', fg='red')} {lost.pod} has nowhere to go ({lost.why})"
    warnings = [*(str(wait) for wait in forecast.waits), *forecast.losses]
    for warning in warnings[:_SHOWN]:
        yield f"  {styled('~', fg='magenta')} {warning}"
    if len(warnings) > _SHOWN:
        yield f"    and {len(warnings) - _SHOWN} more, which --json lists"


def _verdict(forecasts: Sequence[Forecast], earlier: float | None) -> Iterator[str]:
    if earlier is not None:
        yield f"Earlier drains took {duration(earlier)}."
    held = [each.node for each in forecasts if is_held(each)]
    if held:
        many = f"{count(len(held), 'node')} of {len(forecasts)}"
        yield styled(f"{many} cannot be drained as things are now: {names(held)}", fg="red")
    else:
        yield f"{count(len(forecasts), 'node')} can be drained as things are now."
