"""Options and arguments that several commands share."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clusterctl.cli.completing import HOSTS, STEPS
from clusterctl.cli.context import given_inventory, remember_inventory
from clusterctl.errors import InputError

if TYPE_CHECKING:
    from clusterctl.session.call import Call

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SUDO = "clusterctl.ask_sudo_password"
_DRAIN = "clusterctl.drain"


inventory_option = click.option(
    "-i",
    "--inventory",
    type=click.Path(path_type=Path),
    metavar="FILE",
    expose_value=False,
    callback=remember_inventory,
    help="The inventory; without it $CLUSTERCTL_INVENTORY, or inventory.yaml in the current directory.",
)


def _remember_sudo(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_SUDO] = True


sudo_option = click.option(
    "-K",
    "--ask-sudo-password",
    is_flag=True,
    expose_value=False,
    callback=_remember_sudo,
    help="Ask for the password of sudo on the hosts, once for all of them.",
)


def _words(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for text in value for word in text.split(",") if word)


limit_option = click.option(
    "--limit",
    type=HOSTS,
    multiple=True,
    metavar="HOST[,HOST|ROLE]",
    callback=_words,
    help="Walk these hosts only: names, or the role control-plane or worker. The others are looked at.",
)
log_option = click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write every event to this file as well, as JSON, one a line.",
)
ignore_option = click.option(
    "--ignore",
    type=STEPS,
    multiple=True,
    metavar="NAME",
    help="Go on although this finding blocks, such as preflight/etcd-disk; the plan still shows it. May be repeated.",
)


def _batch(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | str | None:
    from clusterctl.engine.playbook import is_batch

    batch = int(value) if value and value.isdecimal() else value
    if batch is not None and not (is_batch(batch) and batch):
        raise InputError(f"--batch {value}: not a number of hosts", resolution="use a number from 1 on, or 1% to 100%")
    return batch


batch_option = click.option(
    "--batch",
    metavar="N|P%",
    callback=_batch,
    help="How many workers at once; 1 if not said. Control planes go one at a time.",
)
probe_option = click.option(
    "--probe",
    "probes",
    multiple=True,
    metavar="URL|svc/NS/NAME",
    help="Ask this all the time while it runs, and the API endpoint, and tell every gap: an address or svc/NAMESPACE/"
    "NAME[:PORT]. May be repeated.",
)
to_option = click.option(
    "--to", metavar="VERSION", help="1.36.3, or 1.36 for its newest; the inventory's version otherwise."
)
via_option = click.option(
    "--via", multiple=True, metavar="VERSION", help="For a minor on the way, instead of its newest."
)
workers_option = click.option(
    "--workers",
    type=click.Choice(["once", "every-hop"]),
    default="once",
    show_default=True,
    help="When workers get a new kubelet, and are drained for it, in an upgrade over several minors.",
)
strategy_option = click.option(
    "--strategy",
    type=click.Choice(["rolling", "surge"]),
    default="rolling",
    show_default=True,
    help="Upgrade workers where they are, or let a spare join before each one leaves, which is the next spare.",
)
yes_option = click.option("--yes", is_flag=True, help="Do what the plan shows without asking.")
diff_option = click.option("--diff", is_flag=True, help="Show what would change in files.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show the steps that are satisfied as well.")
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


def _remember_drain(ctx: click.Context, parameter: click.Parameter, value: bool | int | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_DRAIN, {})[parameter.name] = value


_KEPT: dict[str, Any] = {"expose_value": False, "callback": _remember_drain}


def drain_options(command: _Command) -> _Command:
    """Let a command take the options of ``kubectl drain``: they replace those of ``cluster.drain``."""
    flags = {
        "--force": "Delete pods that nobody makes again.",
        "--delete-emptydir-data": "Give up what pods keep in emptyDir.",
        "--disable-eviction": "Delete pods instead of evicting them: no budget is asked.",
    }
    numbers = {
        "--grace-period": "How long pods may take to end; -1 is what each one says.",
        "--timeout": "How long the drain of a node may take; 0 is for ever.",
        "--skip-wait-for-delete-timeout": "Do not wait for pods whose deletion is so late; 0 is to wait.",
    }
    options = [click.option(name, is_flag=True, default=None, help=text, **_KEPT) for name, text in flags.items()]
    options += [click.option(name, type=int, metavar="SECONDS", help=text, **_KEPT) for name, text in numbers.items()]
    for option in reversed(options):
        command = option(command)
    return command


def drain_changes() -> Mapping[str, bool | int]:
    """What the options of this call replace in ``cluster.drain``, by its keys."""
    changes: Mapping[str, bool | int] = click.get_current_context().meta.get(_DRAIN, {})
    return changes


def drain_words() -> list[str]:
    """The options of this call that ``drain_changes`` has, as they are typed."""
    named = [(f"--{name.replace('_', '-')}", value) for name, value in drain_changes().items()]
    return [option if value is True else f"{option}={value}" for option, value in named]


def hosts_argument(command: _Command) -> _Command:
    """Let a command take names of hosts; none means all."""
    return click.argument("hosts", nargs=-1, type=HOSTS, metavar="[HOST]...")(command)


def asks_sudo_password() -> bool:
    """Whether the operator wants to type the password of sudo."""
    return bool(click.get_current_context().meta.get(_SUDO))


def this_call() -> "Call":
    """What this call was, for commands to paste and for the records."""
    from clusterctl.session.call import Call

    given = given_inventory()
    options = ["-i", shlex.quote(str(given))] if given else []
    options += ["-K"] if asks_sudo_password() else []
    return Call(shlex.join(["clusterctl", *sys.argv[1:]]), tuple(options), tuple(drain_words()))
