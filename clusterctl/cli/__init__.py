"""The command line: arguments in, calls out.

Each verb has its own module, imported when it is called: ``clusterctl --help`` pays for none of them.
"""

import gc
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from clusterctl.cli.failure import ending, pipe_watched
from clusterctl.cli.options import inventory_option, sudo_option
from clusterctl.version import __version__

# Headings, and under each the commands with their one-line summaries; the module has the command's name.
# A test compares the summaries with those of the commands themselves.
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Prepare": {
        "inventory": "Read the inventory and name every mistake in it.",
        "hosts": "Know the hosts by their SSH keys.",
        "facts": "Show what is so on the hosts, and change nothing.",
    },
    "Build": {
        "plan": "Show what a playbook would do, and change nothing.",
        "bootstrap": "Make a Kubernetes cluster of the hosts in the inventory.",
        "upgrade": "Bring the cluster to a new version of Kubernetes.",
        "run": "Run a playbook, or a plan that was saved.",
        "render": "Print what a step would run and write on a host.",
        "steps": "List every step, what it makes true, and what its check looks at.",
        "completion": "Print what lets a shell complete commands, hosts, roles, steps, playbooks and labs.",
    },
    "Use": {
        "kubeconfig": "Fetch the administrator's kubeconfig of the cluster.",
        "status": "Show the cluster's nodes and control plane beside the inventory.",
        "verify": "Prove that the cluster works, by using it.",
        "forecast": "Show what draining the nodes would meet, and move nothing.",
    },
    "Keep": {
        "cordon": "Let no pod come to nodes.",
        "uncordon": "Let pods come again to nodes that clusterctl cordoned.",
        "exec": "Run a command on many hosts at once.",
        "drain": "Let the pods of nodes go elsewhere, one node after the other.",
        "reboot": "Restart hosts, each one drained before and given back afterwards.",
        "os-update": "Upgrade the packages of the operating system, and restart hosts where that is asked for.",
    },
    "Try": {
        "lab": "Make throwaway machines on this computer, and clusters to try things on.",
    },
}


class Root(click.Group):
    """The top-level group: imports a command when it is called, and ends every failure in plain words."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the help."""
        return [name for commands in COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of ``cmd_name``."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"clusterctl.cli.{name}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker.
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands for a shell that completes, without importing any."""
        found = [(name, summary) for commands in COMMANDS.values() for name, summary in commands.items()]
        items = [CompletionItem(name, help=summary) for name, summary in found if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        width = max(len(name) for name in self.list_commands(ctx))
        for heading, commands in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the words of the top level, where the help is written."""
        with pipe_watched():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command."""
        with pipe_watched():
            return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run, and end with the exit code of what happened; no traceback reaches the operator."""
        extra["standalone_mode"] = False
        if os.environ.get("NO_COLOR"):
            extra["color"] = False
        run: Callable[..., Any] = super().main
        ending(lambda: run(*args, **extra))


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="clusterctl", message="%(prog)s %(version)s")
@inventory_option
@sudo_option
def cli() -> None:
    """Turn machines that answer SSH into a kubeadm Kubernetes cluster, and run it for years.

    Every change is shown before it is made, proved after it is made, and safe to run again.
    """


def main() -> NoReturn:
    """Run the command line; the console entry."""
    # Start-up is most of a short call. What is imported stays, so there is little garbage to look for, and none that
    # matters at the end, where the interpreter looks through everything; and pydantic would read the metadata of every
    # installed package to find plugins.
    gc.set_threshold(100_000, 50, 50)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        cli.main(prog_name="clusterctl")
    finally:
        gc.freeze()
