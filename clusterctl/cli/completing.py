"""What a shell may complete: the inventory's hosts and roles, steps, playbooks, labs. Nothing that is said is checked.

Where nothing can be looked up, such as an inventory with mistakes, nothing is offered and nothing is said.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import get_args

import click
from click.shell_completion import CompletionItem

from clusterctl.cli.context import inventory_path


class _Words(click.types.StringParamType):
    """Text, of which a shell may complete what ``words`` gives; ``files`` as well."""

    files = False

    def words(self, ctx: click.Context) -> Iterable[str]:
        """What may be meant."""
        raise NotImplementedError

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What begins as the operator has typed; behind a comma, of the word after it."""
        before, comma, last = incomplete.rpartition(",")
        found: list[str] = []
        with suppress(Exception):  # A shell that completes is no place for errors.
            found = [f"{before}{comma}{word}" for word in self.words(ctx) if word.startswith(last)]
        items = [CompletionItem(word) for word in found]
        return items + ([CompletionItem(incomplete, type="file")] if self.files else [])


class _Hosts(_Words):
    roles = True

    def words(self, ctx: click.Context) -> Iterable[str]:
        from clusterctl.model.inventory import Role, load_inventory

        hosts = load_inventory(inventory_path(ctx)).hosts
        return [*(host.name for host in hosts), *(get_args(Role) if self.roles else ())]


class _Host(_Hosts):
    roles = False


class _Steps(_Words):
    def words(self, ctx: click.Context) -> Iterable[str]:
        from clusterctl.steps.catalogue import NAMES

        return NAMES


class _Playbooks(_Words):
    files = True

    def words(self, ctx: click.Context) -> Iterable[str]:
        from clusterctl.resources import folder

        return sorted(path.stem for path in folder("playbooks").glob("*.yaml"))


class _Labs(_Words):
    def words(self, ctx: click.Context) -> Iterable[str]:
        from clusterctl.lab.state import names

        return names()


class _Machines(_Words):
    def words(self, ctx: click.Context) -> Iterable[str]:
        from clusterctl.lab.lab import find

        return [machine.name for machine in find(ctx.params.get("name") or "lab").machines]


HOSTS, HOST, STEPS, PLAYBOOKS, LABS, MACHINES = _Hosts(), _Host(), _Steps(), _Playbooks(), _Labs(), _Machines()
