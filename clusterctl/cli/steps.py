"""``clusterctl steps``: every step there is."""

import json

import click

from clusterctl.cli.options import json_option
from clusterctl.report.steps import steps_json, steps_markdown, steps_text
from clusterctl.steps.catalogue import CATALOGUE


@click.command(epilog="Example: clusterctl steps")
@click.option("--markdown", is_flag=True, help="Write the page docs/steps.md.")
@json_option
def steps(*, markdown: bool, as_json: bool) -> None:
    """List every step, what it makes true, and what its check looks at."""
    if as_json:
        click.echo(json.dumps(steps_json(CATALOGUE.values()), indent=2))
    elif markdown:
        click.echo(steps_markdown(CATALOGUE.values()), nl=False)
    else:
        click.echo(steps_text(CATALOGUE.values()))
