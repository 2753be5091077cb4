"""``clusterctl plan``: what a playbook would do."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from clusterctl.cli.audit import state_folder
from clusterctl.cli.contracts import save_plan
from clusterctl.cli.hops import announcement, check_limit, find_hops, for_hop
from clusterctl.cli.options import (
    ignore_option,
    inventory_option,
    json_option,
    limit_option,
    strategy_option,
    sudo_option,
    this_command,
    to_option,
    via_option,
    workers_option,
)
from clusterctl.cli.playbooks import any_playbook, ignoring
from clusterctl.cli.running import DURATIONS
from clusterctl.cli.session import Session, open_session, raise_all
from clusterctl.cli.surge import Surge, check_options, find_surge
from clusterctl.engine.plan import Plan
from clusterctl.engine.playbook import Playbook
from clusterctl.errors import InputError, Refused
from clusterctl.model.forecast import Forecast
from clusterctl.model.hops import Hop
from clusterctl.model.verdict import Needed, Unknown
from clusterctl.report.estimate import make_estimate, read_durations, typical
from clusterctl.report.forecast import earlier_drains, forecast_json, forecast_text
from clusterctl.report.plan import plan_text
from clusterctl.report.words import duration

_UPGRADE = "upgrade"
_KUBEADM, _DRAIN = "upgrade/kubeadm", "upgrade/drain"


@click.command()
@click.argument("playbook")
@inventory_option
@sudo_option
@to_option
@via_option
@workers_option
@strategy_option
@limit_option
@ignore_option
@click.option("--diff", is_flag=True, help="Show what would change in files.")
@click.option("-v", "--verbose", is_flag=True, help="List the steps that are satisfied as well.")
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the plan; `clusterctl run FILE` does exactly that.",
)
def plan(
    playbook: str,
    *,
    to: str | None,
    via: tuple[str, ...],
    workers: str,
    strategy: str,
    limit: tuple[str, ...],
    ignore: tuple[str, ...],
    output: Path | None,
    diff: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Show what a playbook would do, and change nothing.

    PLAYBOOK is a name, such as bootstrap, or the path of a YAML file. A step is needed (+), not known before
    earlier ones are done (?), blocked (!) or satisfied (=); a warning (~) stops nothing. Ends
    with 3 when a step is blocked, with 4 when a host cannot be reached: the plan is about the others then.
    JSON has the numbers "changes", "blocked" and "unknown" at its top.

    `plan upgrade --to VERSION` shows the hops, the plan of the first one, what draining the nodes would meet, and how
    long it may take.
    """
    upgrading = playbook == _UPGRADE
    if not upgrading and (to or via or workers != "once" or strategy != "rolling"):
        raise InputError(
            "--to, --via, --workers and --strategy are for an upgrade",
            resolution="clusterctl plan upgrade --to VERSION",
        )
    book = ignoring(any_playbook(playbook), ignore)
    if output and any(step.name == _KUBEADM for play in book.plays for step in play.run):
        raise InputError(
            "a plan of an upgrade cannot be saved: what later steps send depends on what the new kubeadm says",
            resolution="leave -o out; clusterctl upgrade shows the plan again, and asks",
        )
    with open_session() as session:
        if surging := strategy == "surge":
            check_options(session, limit)
        target = to or session.inventory.cluster.kubernetes
        way = find_hops(session, target, via=via, every=workers == "every-hop") if upgrading else ()
        if way:
            check_limit(session, limit, way)
            session.aim(way[0].version)
            hop = way[0] if way[0].kubelets else way[-1]
            surge = find_surge(session, hop.version) if surging and not limit else None
            book = surge.shape(book, ignore) if surge and way[0].kubelets else for_hop(book, way[0])
        book = book.limited(limit, session.inventory)
        made = session.plan(book, texts=output is not None, partial=True)
        walking = {host.name for host in book.hosts(session.inventory)}
        unreached = {name: error for name, error in session.unreached.items() if name in walking}
        ahead = _look_ahead(session, way, book, made, surge) if way else None
    if as_json:
        click.echo(json.dumps(made.as_json() | (ahead.as_json() if ahead else {}), indent=2))
    else:
        shown = plan_text(made, verbose=verbose, diff=diff)
        texts = [announcement(way, way[0]), ahead.chain(), shown, ahead.text()] if ahead else [shown]
        click.echo("\n".join(filter(None, texts)))
    raise_all(unreached)
    if output:
        save_plan(output, made, playbook=playbook, limit=limit, ignore=ignore)
        click.echo(f"Saved. To do exactly this: {this_command('run', shlex.quote(str(output)))}", err=True)
    if made.blocked:
        click.get_current_context().exit(Refused.exit_code)


@dataclass(frozen=True)
class _Ahead:
    """What an upgrade meets beyond the plan of its first hop. ``seconds`` is None when a step was never timed."""

    way: Sequence[Hop]
    surge: Surge | None
    drains: Sequence[Forecast]
    earlier: float | None
    seconds: float | None

    def chain(self) -> str:
        """How workers are replaced, when they are."""
        return self.surge.text() if self.surge else ""

    def text(self) -> str:
        """For people."""
        lines = ["", forecast_text(self.drains, earlier=self.earlier)] if self.drains else []
        if self.seconds:
            hop = "this hop" if len(self.way) > 1 else "it"
            lines.append(f"By earlier runs {hop} takes {duration(self.seconds)}.")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "hops": [{"version": hop.version, "kubelets": hop.kubelets} for hop in self.way],
            **({"surge": self.surge.as_json()} if self.surge else {}),
            "seconds": self.seconds,
            "forecast": forecast_json(self.drains, earlier=self.earlier),
        }


def _look_ahead(session: Session, way: Sequence[Hop], book: Playbook, made: Plan, surge: Surge | None) -> _Ahead:
    """The drains of this hop, by the API server's answers, and the time, by earlier runs."""
    draining = [
        session.inventory.host(step.host)
        for step in made.steps
        if step.step == _DRAIN and isinstance(step.verdict, Needed | Unknown)
    ]
    durations = read_durations(state_folder() / DURATIONS)
    return _Ahead(
        way,
        surge,
        session.forecast(draining) if draining else (),
        earlier_drains(durations),
        make_estimate(book, session.inventory, made, typical(durations)).left((), {}),
    )
