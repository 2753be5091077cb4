"""``clusterctl lab``: throwaway machines on this computer."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from clusterctl.cli.completing import LABS, MACHINES
from clusterctl.cli.options import json_option

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from clusterctl.lab.progress import Report


name_option = click.option("--name", type=LABS, default="lab", show_default=True, help="The lab.")
hosts_argument = click.argument("hosts", nargs=-1, required=True, type=MACHINES, metavar="HOST...")


def progress() -> "AbstractContextManager[Report]":
    """What a lab does, on standard error."""
    from clusterctl.lab.showing import progress

    return progress()


@click.group(epilog="Example: clusterctl lab up")
def lab() -> None:
    """Make throwaway machines on this computer, and clusters to try things on."""


@lab.command(epilog="Example: clusterctl lab up --control-planes 3 --workers 2")
@name_option
@click.option("--control-planes", type=int, metavar="N", help="How many control planes; 1 in a new lab.")
@click.option("--workers", type=int, metavar="N", help="How many workers; 2 in a new lab.")
@click.option("--kubernetes", metavar="VERSION", help="The version for the inventory; 1.36.3 in a new lab.")
@click.option(
    "--sources",
    type=click.Choice(["auto", "official", "modules"]),
    default="auto",
    show_default=True,
    help="Packages and images: the official ones, or built from Go modules; auto takes what answers.",
)
@click.option("--subnet", metavar="CIDR", help="The /24 of a new lab; the first free one of 10.77.0.0/16.")
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Push the OCI archives of this folder into the lab's registry.",
)
def up(
    name: str,
    *,
    control_planes: int | None,
    workers: int | None,
    kubernetes: str | None,
    sources: Literal["auto", "official", "modules"],
    subnet: str | None,
    images: Path | None,
) -> None:
    """Start machines, and wait until they answer SSH.

    A running lab keeps its machines; more of them may be asked for. Run again, this starts those that are off.
    """
    from clusterctl.lab.making import up as start
    from clusterctl.lab.shape import Shape
    from clusterctl.lab.showing import progress
    from clusterctl.model.words import count
    from clusterctl.report.words import names

    with progress() as report:
        made = start(Shape(name, control_planes, workers, kubernetes, sources, subnet), report, images=images)
    roles = [machine.role for machine in made.machines]
    shape = f"{count(roles.count('control-plane'), 'control plane')} and {count(roles.count('worker'), 'worker')}"
    about = f"{shape}, for Kubernetes {made.state.kubernetes} from {made.state.sources}"
    if made.started:
        click.echo(f"lab {name!r}: started {names(made.started)}; {about}")
        click.echo(f"Next: clusterctl -i {made.inventory} bootstrap")
    else:
        click.echo(f"lab {name!r} is up already: {about}; nothing to do")


@lab.command(epilog="Example: clusterctl -i $(clusterctl lab inventory) plan bootstrap")
@name_option
def inventory(name: str) -> None:
    """Print the path of the lab's inventory."""
    from clusterctl.lab.lab import find

    click.echo(find(name).inventory)


@lab.command(epilog="Example: clusterctl lab status")
@name_option
@json_option
def status(name: str, *, as_json: bool) -> None:
    """Show what the lab's machines are doing."""
    from dataclasses import asdict

    from clusterctl.lab.lab import find
    from clusterctl.report.tables import table

    found = find(name)
    machines = found.status()
    if as_json:
        facts = {
            "name": found.name,
            "kubernetes": found.state.kubernetes,
            "sources": found.state.sources,
            "subnet": found.state.network.subnet,
            "leftover": found.state.is_leftover,
            "inventory": str(found.inventory),
            "machines": [asdict(machine) for machine in machines],
        }
        click.echo(json.dumps(facts, indent=2))
        return
    state = found.state
    click.echo(f"lab {found.name!r}: Kubernetes {state.kubernetes} from {state.sources}, {state.network.subnet}")
    rows = [
        (
            machine.name,
            machine.role,
            machine.address,
            machine.state,
            "answers" if machine.ssh else "silent",
            str(machine.boots),
            ", ".join(machine.cut_off_from) or "-",
        )
        for machine in machines
    ]
    for line in table(rows, headings=("HOST", "ROLE", "ADDRESS", "STATE", "SSH", "BOOTS", "CUT OFF FROM")):
        click.echo(line)
    if state.is_leftover:
        click.echo(f"The lab is left over. Next: clusterctl lab up --name {name}, or lab down --name {name}")


@lab.command(context_settings={"ignore_unknown_options": True}, epilog="Example: clusterctl lab ssh w1 uptime")
@name_option
@click.argument("host", type=MACHINES)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def ssh(name: str, host: str, command: tuple[str, ...]) -> None:
    """Log in to a machine, or run a command there."""
    from shutil import which

    from clusterctl.errors import InputError
    from clusterctl.lab.lab import find

    words = find(name).ssh_command(host, *command)
    if which("ssh") is None:
        raise InputError("this computer has no ssh", resolution="apt-get install openssh-client")
    sys.stdout.flush()
    os.execvp(words[0], words)  # noqa: S606 - a list, and its own exit code is the answer.


@lab.command(epilog="Example: clusterctl lab reboot w1")
@name_option
@click.argument("host", type=MACHINES)
def reboot(name: str, host: str) -> None:
    """Reboot a machine, and wait until it answers SSH again."""
    from clusterctl.lab.lab import find

    found = find(name)
    with progress() as report:
        found.reboot(host, report)
    click.echo(f"{host} is back")


@lab.command(epilog="Example: clusterctl lab kill cp2")
@name_option
@hosts_argument
def kill(name: str, hosts: tuple[str, ...]) -> None:
    """Cut the power of machines, all at once.

    Nothing is stopped first, and no connection is closed.
    """
    from clusterctl.lab.lab import find

    _said(find(name).kill(*hosts), hosts, "has no power now", "was off already")


@lab.command(epilog="Example: clusterctl lab stop w1")
@name_option
@hosts_argument
def stop(name: str, hosts: tuple[str, ...]) -> None:
    """Shut machines down, and wait until they are off."""
    from clusterctl.lab.lab import find

    with progress() as report:
        stopped = find(name).stop(*hosts, report=report)
    _said(stopped, hosts, "is off", "was off already")


@lab.command(epilog="Example: clusterctl lab start w1")
@name_option
@hosts_argument
def start(name: str, hosts: tuple[str, ...]) -> None:
    """Start machines that are off, and wait until they answer SSH."""
    from clusterctl.lab.lab import find

    with progress() as report:
        started = find(name).start(*hosts, report=report)
    _said(started, hosts, "is up", "was up already")


@lab.command(epilog="Example: clusterctl lab partition cp1 cp2")
@name_option
@click.argument("host", type=MACHINES)
@click.option("--from", "others", multiple=True, metavar="HOST", help="Only from this one; may be repeated.")
def partition(name: str, host: str, others: tuple[str, ...]) -> None:
    """Cut a machine off from everything, this computer included, or from some other machines.

    Packets vanish in both directions, and nobody is told; links stay up. It lasts until `lab heal`.
    """
    from clusterctl.lab.lab import find
    from clusterctl.report.words import names

    find(name).partition(host, *others)
    click.echo(f"{host} is cut off from {names(others) if others else 'everything'}")
    click.echo(f"Next: clusterctl lab heal --name {name}")


@lab.command(epilog="Example: clusterctl lab heal cp1")
@name_option
@click.argument("hosts", nargs=-1, type=MACHINES, metavar="[HOST]...")
def heal(name: str, hosts: tuple[str, ...]) -> None:
    """Take back what `lab partition` did to machines, or to all."""
    from clusterctl.lab.lab import find
    from clusterctl.report.words import names

    find(name).heal(*hosts)
    click.echo(f"{names(hosts) if hosts else 'every machine'}: nothing is cut off any more")


def _said(changed: tuple[str, ...], hosts: tuple[str, ...], did: str, was: str) -> None:
    for host in hosts:
        click.echo(f"{host} {did if host in changed else f'{was}; nothing to do'}")


@lab.command(epilog="Example: clusterctl lab logs w1")
@name_option
@click.argument("host", type=MACHINES)
def logs(name: str, host: str) -> None:
    """Print what the console of a machine, and the process that looks after it, said."""
    from clusterctl.lab.lab import find

    click.echo(find(name).logs(host), nl=False)


@lab.command(epilog="Example: clusterctl lab down --name demo")
@name_option
@click.option("--all", "every", is_flag=True, help="All labs of this user.")
def down(name: str, *, every: bool) -> None:
    """Take the machines away, and everything that was set up for them."""
    from clusterctl.lab.host import check_suitable
    from clusterctl.lab.lab import find, find_all

    found = find_all() if every else (find(name),)
    if found:
        check_suitable()
    for each in found:
        with progress() as report:
            each.down(report)
        click.echo(f"lab {each.name!r} is gone")
    if not found:
        click.echo("there is no lab; nothing to do")


@lab.command(epilog="Example: clusterctl lab prune")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(*, yes: bool) -> None:
    """Remove labs that died, and what the cache keeps of recipes that have changed since.

    Labs that run keep what they use. Shows what would go and how large it is, and asks.
    """
    from clusterctl.cli.ask import confirm
    from clusterctl.lab.host import check_suitable
    from clusterctl.lab.prune import leftovers, remove
    from clusterctl.model.words import count
    from clusterctl.report.tables import table

    check_suitable()
    with progress() as report:
        found = leftovers(report)
    if not found:
        click.echo("nothing is left over")
        return
    for line in table([(each.what, f"{each.size / 1e6:.0f} MB", str(each.path)) for each in found]):
        click.echo(line)
    size = f"{sum(each.size for each in found) / 1e9:.1f} GB"
    confirm(f"Remove {count(len(found), 'thing')}, {size}?", yes=yes)
    with progress() as report:
        remove(found, report)
    click.echo(f"removed {count(len(found), 'thing')}, {size}")


@lab.command(epilog="Example: clusterctl lab build --kubernetes 1.36.3")
@click.option("--kubernetes", multiple=True, metavar="VERSION", help="A version to build; may be repeated.")
@click.option("--with", "extras", multiple=True, metavar="NAME", help="An image besides: metrics-server.")
def build(kubernetes: tuple[str, ...], extras: tuple[str, ...]) -> None:
    """Build what labs need where the official sources are out of reach, and keep it.

    `lab up` builds what its own version lacks; this does it ahead of time, and for several versions.
    """
    from clusterctl.lab.shape import DEFAULT_KUBERNETES
    from clusterctl.lab.sources import build_modules

    versions = kubernetes or (DEFAULT_KUBERNETES,)
    with progress() as report:
        anything = build_modules(versions, report, extras)
    known = ", ".join([*versions, *extras])
    click.echo(f"built for Kubernetes {known}" if anything else f"Kubernetes {known} is built already")
