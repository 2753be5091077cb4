"""``clusterctl upgrade``: bring a running cluster to a new version, hop by hop."""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from clusterctl.cli.ask import UNATTENDED
from clusterctl.cli.hops import announcement, check_limit, find_hops, for_hop, where
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    batch_option,
    drain_options,
    drain_words,
    ignore_option,
    inventory_option,
    inventory_path,
    limit_option,
    log_option,
    probe_option,
    strategy_option,
    sudo_option,
    this_command,
    to_option,
    via_option,
    workers_option,
)
from clusterctl.cli.playbooks import ignoring, playbook
from clusterctl.cli.running import run_playbook
from clusterctl.cli.session import Session
from clusterctl.cli.surge import check_options, find_surge, rotated
from clusterctl.cli.verify import prove
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.errors import ClusterctlError, InputError
from clusterctl.model.inventory import Inventory, Role
from clusterctl.model.inventory.edit import with_kubernetes, with_roles


@click.command()
@inventory_option
@sudo_option
@to_option
@via_option
@workers_option
@strategy_option
@batch_option
@click.option("--canary", metavar="HOST", help="The worker that goes first, alone.")
@click.option("--pause", is_flag=True, help="Ask again when the canary is through.")
@click.option("--max-failures", type=click.IntRange(min=0), default=0, metavar="N", help="Workers that may fail; 0.")
@limit_option
@ignore_option
@click.option("--yes", is_flag=True, help="Do what the plan shows without asking.")
@click.option(
    "--write",
    is_flag=True,
    help="Bring the inventory up to date when all is done: version, and roles.",
)
@click.option("--no-verify", is_flag=True, help="Do not use the cluster at the end to prove that it works.")
@log_option
@probe_option
@drain_options
@click.option("--diff", is_flag=True, help="Show what would change in files.")
@click.option("-v", "--verbose", is_flag=True, help="Show the steps that are satisfied as well.")
def upgrade(
    *,
    to: str | None,
    via: tuple[str, ...],
    workers: str,
    strategy: str,
    batch: int | str | None,
    canary: str | None,
    pause: bool,
    max_failures: int,
    limit: tuple[str, ...],
    ignore: tuple[str, ...],
    yes: bool,
    write: bool,
    no_verify: bool,
    log: Path | None,
    probes: tuple[str, ...],
    diff: bool,
    verbose: bool,
) -> None:
    """Bring the cluster to a new version of Kubernetes.

    Finds the hops, one for each minor on the way, shows the plan of the first one, asks, and goes: control planes one
    after the other, then the workers. A node is drained before its kubelet changes, and given back afterwards. Before
    each hop the cluster is looked at anew. Ctrl-C stops after the node in hand; run it again after any failure.
    """
    if write and limit:
        raise InputError("--write says that every host is through", resolution="leave --write or --limit out")
    surging = strategy == "surge"
    again = _again()
    with open_session() as session:
        if surging:
            check_options(session, limit, batch=batch, canary=canary)
        before = session.inventory.cluster.kubernetes
        way = find_hops(session, to or before, via=via, every=workers == "every-hop")
        check_limit(session, limit, way)
        book = _shaped(ignoring(playbook("upgrade"), ignore), session.inventory, batch, canary, max_failures)
        acted = False

        def run(part: Playbook, *, answered: bool) -> bool:
            return run_playbook(
                session,
                part,
                again=again,
                limit=limit,
                ignore=ignore,
                log=log,
                yes=answered,
                diff=diff,
                verbose=verbose,
                probes=probes,
                unchanged="Nothing more was changed." if acted else "Nothing was changed.",
                unattended=f"look at {canary}, then run the same command again" if yes else UNATTENDED,
            )

        try:
            for hop in way:
                if len(way) > 1:
                    click.echo(announcement(way, hop))
                session.aim(hop.version)
                shaped = for_hop(book, hop)
                if surging and hop.kubelets and not limit:
                    surge = find_surge(session, hop.version)
                    if surge.links:
                        click.echo(surge.text())
                    shaped = surge.shape(book, ignore, max_failures)
                first, *rest = _parts(shaped, canary if pause and hop.kubelets else None)
                moved = run(first, answered=yes or acted)
                acted |= moved
                for part in rest:
                    # A canary that was through before this run has been looked at: a --yes is about the others.
                    acted |= run(part, answered=yes and not moved)
        except ClusterctlError:
            if session.began:
                _tell_where_it_is(session)
            raise
        roles = rotated(session) if surging and not limit else {}
        if roles:
            session.assign(roles)
        if not acted:
            click.echo(f"Nothing to do: the cluster runs {way[-1].version}.")
        elif not no_verify and not limit:
            prove(session)
    _end(before, way[-1].version, roles, write=write, limited=bool(limit), acted=acted)


def _again() -> str:
    """This command with its options; ``run_playbook`` adds those that it takes itself."""
    context, words = click.get_current_context(), ["upgrade"]
    for name in ("to", "via", "workers", "strategy", "batch", "canary", "pause", "max_failures", "write", "no_verify"):
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            option, value = f"--{name.replace('_', '-')}", context.params[name]
            for each in value if isinstance(value, tuple) else (value,):
                words += [option] if each is True else [option, shlex.quote(str(each))]
    return this_command(*words, *drain_words())


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


def _tell_where_it_is(session: Session) -> None:
    """Say which host is at which version, as far as they answer now."""
    with suppress(ClusterctlError):
        click.echo("\nWhat is where:", err=True)
        for line in where(session):
            click.echo(f"  {line}", err=True)


def _end(before: str, target: str, roles: Mapping[str, Role], *, write: bool, limited: bool, acted: bool) -> None:
    """Say what is left to type, and bring the inventory to the new version and roles when that is asked for."""
    path = inventory_path()
    news = [f"cluster.kubernetes is {target}"] if before != target else []
    news += [f"{name} is a {role}" for name, role in roles.items()]
    if write and news:
        text = with_roles(path.read_text(encoding="utf-8"), roles)
        path.write_text(with_kubernetes(text, target) if before != target else text, encoding="utf-8")
        click.echo(f"\n{path} says now: {', '.join(news)}.")
    elif news and not limited:
        surge = ["--strategy", "surge"] if roles else []
        write_it = this_command("upgrade", "--to", target, *surge, "--write")
        click.echo(f"\n{path} does not say yet: {', '.join(news)}. Change it, or: {write_it}")
    if acted:
        click.echo("\nWhat to type next:")
        click.echo(f"  {this_command('status')}")
