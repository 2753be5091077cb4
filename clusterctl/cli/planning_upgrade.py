"""What ``clusterctl plan upgrade`` looks at besides the plan: the hops, the drains, and the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterctl.cli.audit import state_folder
from clusterctl.cli.hops import announcement, check_limit, find_hops, for_hop
from clusterctl.cli.planning import Planned, check_savable, make_planned
from clusterctl.cli.playbooks import ignoring, playbook
from clusterctl.cli.running import DURATIONS
from clusterctl.cli.session import Session
from clusterctl.cli.surge import Surge, check_options, find_surge
from clusterctl.model.verdict import Needed, Unknown
from clusterctl.report.estimate import make_estimate, read_durations, typical
from clusterctl.report.forecast import earlier_drains, forecast_json, forecast_text
from clusterctl.report.words import duration
from clusterctl.rules.forecast import Forecast
from clusterctl.rules.hops import Hop

_DRAIN = "upgrade/drain"


@dataclass(frozen=True)
class PlannedUpgrade(Planned):
    """The plan of the first hop, and what the upgrade meets beyond it.

    ``earlier`` and ``seconds`` are of earlier runs: a drain, and the hop; None when one of its steps was never timed.
    """

    way: Sequence[Hop]
    surge: Surge | None
    drains: Sequence[Forecast]
    earlier: float | None
    seconds: float | None

    def text(self, *, verbose: bool, diff: bool) -> str:
        """For people."""
        lines = [announcement(self.way, self.way[0]), self.surge.text() if self.surge else ""]
        lines.append(super().text(verbose=verbose, diff=diff))
        lines.append("\n" + forecast_text(self.drains, earlier=self.earlier) if self.drains else "")
        if self.seconds:
            hop = "this hop" if len(self.way) > 1 else "it"
            lines.append(f"By earlier runs {hop} takes {duration(self.seconds)}.")
        return "\n".join(filter(None, lines))

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return super().as_json() | {
            "hops": [{"version": hop.version, "kubelets": hop.kubelets} for hop in self.way],
            **({"surge": self.surge.as_json()} if self.surge else {}),
            "seconds": self.seconds,
            "forecast": forecast_json(self.drains, earlier=self.earlier),
        }


def plan_upgrade(
    session: Session,
    *,
    to: str | None,
    via: Sequence[str],
    workers: str,
    strategy: str,
    limit: Sequence[str],
    ignore: Sequence[str],
    output: Path | None,
) -> Planned:
    """Plan the first hop of an upgrade, with these options of the command line.

    Raises InputError, also because such a plan cannot be saved to ``output``, what ``find_hops`` raises, and what
    ``Session.plan`` raises.
    """
    book = ignoring(playbook("upgrade"), ignore)
    if output:
        check_savable(book)
    surging = strategy == "surge"
    if surging:
        check_options(session, limit)
    way = find_hops(session, to or session.inventory.cluster.kubernetes, via=via, every=workers == "every-hop")
    if not way:
        return make_planned(session, book.limited(limit, session.inventory))
    check_limit(session, limit, way)
    session.aim(way[0].version)
    hop = way[0] if way[0].kubelets else way[-1]
    surge = find_surge(session, hop.version) if surging and not limit else None
    book = surge.shape(book, ignore) if surge and way[0].kubelets else for_hop(book, way[0])
    book = book.limited(limit, session.inventory)
    made = make_planned(session, book)
    draining = [
        session.inventory.host(step.host)
        for step in made.plan.steps
        if step.step == _DRAIN and isinstance(step.verdict, Needed | Unknown)
    ]
    durations = read_durations(state_folder() / DURATIONS)
    return PlannedUpgrade(
        made.plan,
        made.unreached,
        way,
        surge,
        session.forecast(draining) if draining else (),
        earlier_drains(durations),
        make_estimate(book, session.inventory, made.plan, typical(durations)).left((), {}),
    )
