"""``clusterctl exec``: a command of your own on many hosts."""

import json
import shlex
import threading
from typing import Any

import click

from clusterctl.cli.ask import confirm
from clusterctl.cli.completing import HOSTS
from clusterctl.cli.failure import tell
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import inventory_option, json_option, sudo_option
from clusterctl.errors import InputError, SeveralErrors

_COMMAND = "clusterctl.command"


class WithCommand(click.Command):
    """A command whose words behind ``--`` are a command for somebody else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what stands behind the first ``--``."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """How it is typed."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]


@click.command(cls=WithCommand, epilog="Example: clusterctl exec worker --read-only -- uptime")
@click.argument("hosts", nargs=-1, type=HOSTS, metavar="[HOST|ROLE]...")
@inventory_option
@sudo_option
@click.option("--as-user", is_flag=True, help="Run it as who logs in; root runs it otherwise.")
@click.option(
    "--read-only", is_flag=True, help="It changes nothing: run it without a question, and while another operator works."
)
@click.option("--yes", is_flag=True, help="Run it without asking.")
@click.option(
    "--max-output",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="MIB",
    help="How much each host may write before the command is cut off.",
)
@json_option
def exec(  # noqa: A001 - a verb is named as it is typed.
    hosts: tuple[str, ...], *, as_user: bool, read_only: bool, yes: bool, max_output: int, as_json: bool
) -> None:
    """Run a command on many hosts at once.

    HOST is the name of a host, or a role; without any, all hosts. A COMMAND of one word is a line of shell; of several
    it is run as it stands. Each line comes with its host in front. Ends with the largest exit status, or
    with 4 or 5 when a host could not be reached or was lost in the middle; the others go on.
    """
    words: tuple[str, ...] = click.get_current_context().meta.get(_COMMAND, ())
    if not words:
        raise InputError("there is no command", resolution="clusterctl exec worker --read-only -- uptime")
    command = words[0] if len(words) == 1 else shlex.join(words)
    with open_session() as session:
        from clusterctl.actions.exec import Stream, execute, select
        from clusterctl.report.words import names, printable

        wanted = select(session.inventory, hosts)
        whom = names([host.name for host in wanted])
        if not read_only:
            confirm(f"Run this on {whom}{'' if as_user else ' as root'}: {printable(command)}\nGo on?", yes=yes)
        width, lock = max(len(host.name) for host in wanted), threading.Lock()

        def show(host: str, stream: Stream, line: str) -> None:
            with lock:
                click.echo(f"{host:<{width}} | {printable(line)}", err=stream == "stderr")

        told: Any = None if as_json else show
        limit = max_output << 20
        try:
            ran = execute(session, wanted, command, root=not as_user, read_only=read_only, limit=limit, tell=told)
        except KeyboardInterrupt:
            click.echo("What was begun on the hosts may go on there.", err=True)
            raise
    if as_json:
        click.echo(json.dumps([each.as_json() for each in ran], indent=2))
    for each in ran:
        if each.status and not as_json:
            click.echo(f"{each.host}: exit status {each.status}", err=True)
    if errors := [each.error for each in ran if each.error]:
        tell(SeveralErrors(errors))
        click.get_current_context().exit(SeveralErrors(errors).exit_code)
    click.get_current_context().exit(max(each.status or 0 for each in ran))
