"""Bring a running cluster to a new version, hop by hop."""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace

from clusterctl.actions.hops import announcement, check_limit, find_hops, for_hop, where
from clusterctl.actions.operator import UNATTENDED, Operator
from clusterctl.actions.playbooks import ignoring, playbook
from clusterctl.actions.running import Wishes, run_playbook
from clusterctl.actions.surge import check_options, find_surge, rotated
from clusterctl.actions.verify import prove
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.errors import ClusterctlError, InputError
from clusterctl.model.inventory import Inventory, Role
from clusterctl.model.inventory.edit import with_kubernetes, with_roles
from clusterctl.session.session import Session


@dataclass(frozen=True, slots=True)
class Way:
    """How an upgrade goes.

    ``to`` is a version or a minor, None for the inventory's; ``via`` are versions on the way. ``workers`` says when
    workers get a new kubelet: ``once`` or ``every-hop``. ``strategy`` is ``rolling``, or ``surge``: spares take the
    workers' places. ``batch`` workers go at once, a number or a share; ``canary`` goes first, alone, and with ``pause``
    the operator is asked again after it. ``max_failures`` workers may fail. ``write`` brings the inventory up to date
    at the end, ``no_verify`` leaves out the proof that the cluster works.
    """

    to: str | None = None
    via: tuple[str, ...] = ()
    workers: str = "once"
    strategy: str = "rolling"
    batch: int | str | None = None
    canary: str | None = None
    pause: bool = False
    max_failures: int = 0
    write: bool = False
    no_verify: bool = False

    @property
    def surging(self) -> bool:
        """Whether spares take the workers' places."""
        return self.strategy == "surge"

    @property
    def every_hop(self) -> bool:
        """Whether workers are drained in every hop."""
        return self.workers == "every-hop"

    def words(self) -> list[str]:
        """The options that say so, as they are typed."""
        words = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                option = f"--{each.name.replace('_', '-')}"
                for one in value if isinstance(value, tuple) else (value,):
                    words += [option] if one is True else [option, shlex.quote(str(one))]
        return words


def upgrade(session: Session, operator: Operator, way: Way, wishes: Wishes, *, answered: bool) -> None:
    """Find the hops, show the plan of the first one, ask unless that is ``answered``, and go.

    Raises InputError for options that contradict each other, and what ``find_hops`` and ``run_playbook`` raise.
    """
    check_way(way, wishes)
    limit = wishes.limit
    again = session.call.command("upgrade", *way.words(), *session.call.drain)
    if way.surging:
        check_options(session, limit, batch=way.batch, canary=way.canary)
    before = session.inventory.cluster.kubernetes
    hops = find_hops(session, way.to or before, via=way.via, every=way.every_hop)
    check_limit(session, limit, hops)
    book = _shaped(
        ignoring(playbook("upgrade"), wishes.ignore), session.inventory, way.batch, way.canary, way.max_failures
    )
    acted = False

    def run(part: Playbook, *, answer: bool) -> bool:
        return run_playbook(
            session,
            part,
            operator,
            wishes,
            again=again,
            answered=answer,
            unchanged="Nothing more was changed." if acted else "Nothing was changed.",
            unattended=f"look at {way.canary}, then run the same command again" if answered else UNATTENDED,
        )

    try:
        for hop in hops:
            if len(hops) > 1:
                operator.show(announcement(hops, hop))
            session.aim(hop.version)
            shaped = for_hop(book, hop)
            if way.surging and hop.kubelets and not limit:
                surge = find_surge(session, hop.version)
                if surge.links:
                    operator.show(surge.text())
                shaped = surge.shape(book, wishes.ignore, way.max_failures)
            first, *rest = _parts(shaped, way.canary if way.pause and hop.kubelets else None)
            moved = run(first, answer=answered or acted)
            acted |= moved
            for part in rest:
                # A canary that was through before this run has been looked at: a --yes is about the others.
                acted |= run(part, answer=answered and not moved)
    except ClusterctlError:
        if session.began:
            _tell_where_it_is(session, operator)
        raise
    roles = rotated(session) if way.surging and not limit else {}
    if roles:
        session.assign(roles)
    if not acted:
        operator.show(f"Nothing to do: the cluster runs {hops[-1].version}.")
    elif not way.no_verify and not limit:
        prove(session, operator)
    _end(session, operator, before, hops[-1].version, roles, write=way.write, limited=bool(limit))
    if acted:
        operator.show("\nWhat to type next:")
        operator.show(f"  {session.call.command('status')}")


def check_way(way: Way, wishes: Wishes) -> None:
    """Raise InputError for options that contradict each other."""
    if way.write and wishes.limit:
        raise InputError("--write says that every host is through", resolution="leave --write or --limit out")


def _shaped(
    book: Playbook, inventory: Inventory, batch: int | str | None, canary: str | None, max_failures: int
) -> Playbook:
    """The playbook with the workers in batches, and the canary in a play of its own before them."""
    workers = frozenset(host.name for host in inventory.hosts if host.role == "worker")
    if canary is not None and canary not in workers:
        raise InputError(
            f"--canary {canary}: the inventory has no such worker",
            resolution=f"use one of: {', '.join(sorted(workers))}",
        )
    plays: list[Play] = []
    for play in book.plays:
        if play.on != "worker" or not play.undivided:
            plays.append(play)
            continue
        rest = replace(play, batch=batch or play.batch, max_failures=max_failures)
        if canary is not None:
            plays.append(replace(play, name="Upgrade the canary", only=frozenset({canary})))
            rest = replace(rest, only=workers - {canary})
        plays.append(rest)
    return replace(book, plays=tuple(plays))


def _parts(book: Playbook, pause_after: str | None) -> tuple[Playbook, ...]:
    """The playbook, cut after the canary's play when there is to be a pause."""
    for number, play in enumerate(book.plays, 1):
        if pause_after is not None and play.only == frozenset({pause_after}):
            return replace(book, plays=book.plays[:number]), replace(book, plays=book.plays[number:])
    return (book,)


def _tell_where_it_is(session: Session, operator: Operator) -> None:
    """Say which host is at which version, as far as they answer now."""
    with suppress(ClusterctlError):
        operator.note("\nWhat is where:")
        for line in where(session):
            operator.note(f"  {line}")


def _end(
    session: Session,
    operator: Operator,
    before: str,
    target: str,
    roles: Mapping[str, Role],
    *,
    write: bool,
    limited: bool,
) -> None:
    """Say what the inventory does not say yet, or bring it to the new version and roles when that is asked for."""
    path = session.path
    news = [f"cluster.kubernetes is {target}"] if before != target else []
    news += [f"{name} is a {role}" for name, role in roles.items()]
    if write and news:
        text = with_roles(path.read_text(encoding="utf-8"), roles)
        path.write_text(with_kubernetes(text, target) if before != target else text, encoding="utf-8")
        operator.show(f"\n{path} says now: {', '.join(news)}.")
    elif news and not limited:
        surge = ["--strategy", "surge"] if roles else []
        write_it = session.call.command("upgrade", "--to", target, *surge, "--write")
        operator.show(f"\n{path} does not say yet: {', '.join(news)}. Change it, or: {write_it}")
