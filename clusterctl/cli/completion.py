"""``clusterctl completion``: the shell finishes words."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_CLUSTERCTL_COMPLETE"


@click.command(epilog='Example: eval "$(clusterctl completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what lets a shell complete commands, hosts, roles, steps, playbooks and labs.

    \b
    bash: in ~/.bashrc    eval "$(clusterctl completion bash)"
    zsh:  in ~/.zshrc     eval "$(clusterctl completion zsh)"
    fish: once            clusterctl completion fish > ~/.config/fish/completions/clusterctl.fish
    """
    maker = get_completion_class(shell)
    assert maker is not None  # noqa: S101 - for the type checker.
    click.echo(maker(click.Command("clusterctl"), {}, "clusterctl", _VARIABLE).source())
