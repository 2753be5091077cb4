"""Which inventory a call is about."""

import os
from pathlib import Path

import click

_KEY = "clusterctl.inventory"


def remember_inventory(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """Keep what ``-i`` names; an option nearer to the verb wins."""
    if value is not None:
        ctx.meta[_KEY] = value


def given_inventory(context: click.Context | None = None) -> Path | None:
    """What ``-i`` of this call names."""
    given: Path | None = (context or click.get_current_context()).meta.get(_KEY)
    return given


def inventory_path(context: click.Context | None = None) -> Path:
    """The inventory that this call is about."""
    return given_inventory(context) or Path(os.environ.get("CLUSTERCTL_INVENTORY") or "inventory.yaml")
