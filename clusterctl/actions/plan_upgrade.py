"""What ``clusterctl plan upgrade`` looks at besides the plan: the hops, the drains, and the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterctl.actions.hops import announcement, check_limit, find_hops, for_hop
from clusterctl.actions.plan import Planned, check_savable, make_planned
from clusterctl.actions.playbooks import ignoring, playbook
from clusterctl.actions.surge import Surge, check_options, find_surge
from clusterctl.actions.upgrade import Way
from clusterctl.model.verdict import Needed, Unknown
from clusterctl.report.estimate import make_estimate, typical
from clusterctl.report.forecast import earlier_drains, forecast_json, forecast_text
from clusterctl.report.words import duration
from clusterctl.rules.forecast import Forecast
from clusterctl.rules.hops import Hop
from clusterctl.session.session import Session
from clusterctl.session.state import known_durations

_DRAIN = "upgrade/drain"


@dataclass(frozen=True)
class PlannedUpgrade(Planned):
    """The plan of the first hop, and what the upgrade meets beyond it.

    ``earlier`` and ``seconds`` are of earlier runs: a drain, and the hop; None when one of its steps was never timed.
    """

    hops: Sequence[Hop]
    surge: Surge | None
    drains: Sequence[Forecast]
    earlier: float | None
    seconds: float | None

    def text(self, *, verbose: bool, diff: bool) -> str:
        """For people."""
        lines = [announcement(self.hops, self.hops[0]), self.surge.text() if self.surge else ""]
        lines.append(super().text(verbose=verbose, diff=diff))
        lines.append("\n" + forecast_text(self.drains, earlier=self.earlier) if self.drains else "")
        if self.seconds:
            hop = "this hop" if len(self.hops) > 1 else "it"
            lines.append(f"By earlier runs {hop} takes {duration(self.seconds)}.")
        return "\n".join(filter(None, lines))

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return super().as_json() | {
            "hops": [{"version": hop.version, "kubelets": hop.kubelets} for hop in self.hops],
            **({"surge": self.surge.as_json()} if self.surge else {}),
            "seconds": self.seconds,
            "forecast": forecast_json(self.drains, earlier=self.earlier),
        }


def plan_upgrade(
    session: Session,
    way: Way,
    *,
    limit: Sequence[str] = (),
    ignore: Sequence[str] = (),
    output: Path | None = None,
) -> Planned:
    """Plan the first hop of an upgrade.

    Raises InputError, also because such a plan cannot be saved to ``output``, what ``find_hops`` raises, and what
    ``Session.plan`` raises.
    """
    book = ignoring(playbook("upgrade"), ignore)
    if output:
        check_savable(book)
    if way.surging:
        check_options(session, limit)
    hops = find_hops(session, way.to or session.inventory.cluster.kubernetes, via=way.via, every=way.every_hop)
    if not hops:
        return make_planned(session, book.limited(limit, session.inventory))
    check_limit(session, limit, hops)
    session.aim(hops[0].version)
    hop = hops[0] if hops[0].kubelets else hops[-1]
    surge = find_surge(session, hop.version) if way.surging and not limit else None
    book = surge.shape(book, ignore) if surge and hops[0].kubelets else for_hop(book, hops[0])
    book = book.limited(limit, session.inventory)
    made = make_planned(session, book)
    draining = [
        session.inventory.host(step.host)
        for step in made.plan.steps
        if step.step == _DRAIN and isinstance(step.verdict, Needed | Unknown)
    ]
    durations = known_durations()
    return PlannedUpgrade(
        made.plan,
        made.unreached,
        hops,
        surge,
        session.forecast(draining) if draining else (),
        earlier_drains(durations),
        make_estimate(book, session.inventory, made.plan, typical(durations)).left((), {}),
    )
