"""What a run came to: counts, time per step and host, and on a failure what each host lacks."""

from collections.abc import Callable, Iterator, Sequence

from clusterctl.model.words import count
from clusterctl.report.record import Record
from clusterctl.report.tables import table
from clusterctl.report.words import duration

_SLOWEST = 5
_HOSTS = 20
_STEPS_LEFT = 3
_WORTH_TELLING = 0.5
_LONGEST = 2


Again = str | Callable[[Sequence[str]], str]
"""The command that goes on with a run; where it names its hosts, by those that are left."""


def summary(record: Record, again: Again) -> list[str]:
    """The lines that end a run; ``again`` is the command that goes on."""
    return [*_counts(record), *_times(record), *_critical_path(record), *_left(record, again)]


def _counts(record: Record) -> Iterator[str]:
    run = record.finished
    if run is None:
        return
    end = "stopped" if run.left else "done"
    yield (
        f"{run.playbook}: {end} after {duration(run.seconds)}: "
        f"{run.changed} changed, {run.satisfied} satisfied, {run.failed} failed"
    )


def _times(record: Record) -> Iterator[str]:
    slowest = record.slowest_steps(_SLOWEST)
    if slowest:
        yield ""
        yield "Slowest steps"
        width = max(len(step) for step, _ in slowest)
        for step, seconds in slowest:
            host = max(seconds, key=lambda name: seconds[name])
            on = f"{host}, the slowest of {len(seconds)} hosts" if len(seconds) > 1 else host
            yield f"  {step:<{width}}  {duration(seconds[host]):>12}  on {on}"
    acted = sorted(
        ((host, walk) for host, walk in record.walks.items() if walk.changed or walk.failed),
        key=lambda item: -item[1].seconds,
    )
    if acted:
        yield ""
        yield "Hosts"
        width = max(len(host) for host, _ in acted)
        for host, walk in acted[:_HOSTS]:
            failed = f", failed at {walk.failed}" if walk.failed else ""
            yield (
                f"  {host:<{width}}  {duration(walk.seconds):>12}  "
                f"{walk.changed} changed, {walk.satisfied} satisfied{failed}"
            )
        if len(acted) > _HOSTS:
            yield f"  … and {count(len(acted) - _HOSTS, 'faster host')}"


def _critical_path(record: Record) -> Iterator[str]:
    """What a faster run would have to do faster: of no use when one host did everything."""
    path = [(play, span) for play, span in record.critical_path() if span.ended - span.began >= _WORTH_TELLING]
    if len(record.walks) < 2 or len(path) < 2:
        return
    yield ""
    yield f"Critical path, {duration(sum(span.ended - span.began for _, span in path))}"
    rows = []
    for play, span in path:
        longest = sorted(span.steps.items(), key=lambda item: -item[1])[:_LONGEST]
        steps = ", ".join(f"{step} {duration(seconds)}" for step, seconds in longest)
        rows.append((f"  {play}", duration(span.ended - span.began).rjust(12), f"{span.host}: {steps}"))
    yield from table(rows)


def _left(record: Record, again: Again) -> Iterator[str]:
    left = record.left()
    if not left:
        return
    yield ""
    yield "Not done"
    width = max(len(host) for host in left)
    for host, steps in left.items():
        shown = ", ".join(steps[:_STEPS_LEFT])
        more = f" and {len(steps) - _STEPS_LEFT} more" if len(steps) > _STEPS_LEFT else ""
        yield f"  {host:<{width}}  {shown}{more}"
    yield ""
    when = "When the cause is out of the way" if record.failures else "When you like"
    yield f"{when}, go on with: {again if isinstance(again, str) else again(tuple(left))}"
