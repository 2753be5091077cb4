"""What the command line says of itself, and how soon."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clusterctl.cli import COMMANDS, cli
from clusterctl.cli.reference import reference
from clusterctl.version import __version__
from tests.cli.conftest import Call

HEAVY = ("paramiko", "kubernetes", "pydantic", "jinja2", "rich", "yaml", "cryptography", "platformdirs")


def every_command() -> Iterator[tuple[str, ...]]:
    """The words of each command and group below the top."""

    def below(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            yield (*words, name)
            if isinstance(command, click.Group):
                yield from below(command, (*words, name))

    return below(cli, ())


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...], call: Call) -> None:
    """--help works everywhere, and begins with one short sentence."""
    result = call(*words, "--help")

    assert result.exit_code == 0
    summary = result.stdout.split("\n\n")[1]
    assert summary.startswith("  ")
    assert summary.endswith(".")
    assert len(summary.split()) < 20


def test_the_top_help_shows_each_command_with_its_own_summary() -> None:
    """The light table beside the lazy group says what the commands say themselves."""
    context = click.Context(cli)
    for commands in COMMANDS.values():
        for name, summary in commands.items():
            command = cli.get_command(context, name)
            assert command is not None
            assert command.get_short_help_str(200).rstrip(".") == summary.rstrip(".")


def test_the_top_help_groups_the_commands(call: Call) -> None:
    """What clusterctl is, in one sentence, and the commands under headings."""
    result = call("--help")

    assert "Turn machines that answer SSH into a kubeadm Kubernetes cluster" in result.stdout
    for heading in COMMANDS:
        assert f"\n{heading}:\n" in result.stdout


def test_version(call: Call) -> None:
    """--version says which one this is."""
    assert call("--version").stdout == f"clusterctl {__version__}\n"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_nothing_heavy_is_imported_for_the_help(option: str) -> None:
    """The help of the top level pays for no library but click."""
    code = (
        "import sys\n"
        "from clusterctl.cli import main\n"
        f"sys.argv = ['clusterctl', {option!r}]\n"
        "try:\n    main()\n"
        "except SystemExit:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["bootstrap", "plan"])
def test_what_looks_at_every_node_connects_before_it_imports(command: str) -> None:
    """Steps, engine and reports are imported while the hosts answer."""
    late = ("clusterctl.steps", "clusterctl.engine", "clusterctl.report", "jinja2", "paramiko")
    code = f"import sys, clusterctl.cli.{command}; print([name for name in {late!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_an_unknown_command_is_a_usage_error(call: Call) -> None:
    """click's own messages end with 2."""
    result = call("destroy")

    assert result.exit_code == 2
    assert "No such command 'destroy'" in result.stderr


def test_the_reference_is_up_to_date() -> None:
    """docs/cli.md is what the commands say."""
    written = Path(__file__).parents[2] / "docs" / "cli.md"

    assert written.read_text() == reference(), "run: python -m clusterctl.cli.reference > docs/cli.md"
