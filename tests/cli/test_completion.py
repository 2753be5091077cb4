"""Completion: what a shell is offered, by the shells themselves where they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusterctl.cli import COMMANDS, cli
from clusterctl.lab.state import Directory
from clusterctl.steps.catalogue import NAMES
from tests.cli.conftest import INVENTORY, Call
from tests.lab.builders import make_state

ROLES = {"control-plane", "worker", "spare"}


@pytest.fixture
def offered(tmp_path: Path) -> "Offered":
    """What is offered in a folder with an inventory."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "prod.yaml").write_text(INVENTORY.replace("name: w1", "name: blade1"))
    return Offered(tmp_path)


class Offered:
    """Asks as click's script for bash does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str) -> set[str]:
        """What completes the last of these words."""
        environment = {
            **os.environ,
            "_CLUSTERCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["clusterctl", *words]),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(
            [Path(sys.executable).with_name("clusterctl")],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return {line.partition(",")[2] for line in done.stdout.splitlines() if line}


def test_commands(offered: Offered) -> None:
    """All of them, by their beginning."""
    assert offered("") >= {name for commands in COMMANDS.values() for name in commands}
    assert offered("re") == {"render", "reboot"}


@pytest.mark.parametrize("command", ["drain", "exec", "facts", "forecast", "reboot", "cordon", "os-update"])
def test_hosts_and_roles(offered: Offered, command: str) -> None:
    """Those of the inventory."""
    assert offered(command, "") >= {"cp1", "w1", "w2"} | ROLES
    assert offered(command, "w") == {"w1", "w2", "worker"}


def test_the_inventory_that_is_named_counts(offered: Offered) -> None:
    """Before the verb and after it."""
    assert offered("-i", "prod.yaml", "drain", "b") == {"blade1"}
    assert offered("drain", "-i", "prod.yaml", "b") == {"blade1"}


def test_words_behind_a_comma(offered: Offered) -> None:
    """--limit takes several."""
    assert offered("bootstrap", "--limit", "cp1,w") == {"cp1,w1", "cp1,w2", "cp1,worker"}


def test_steps_and_findings(offered: Offered) -> None:
    """By their phase and name."""
    assert offered("render", "os/") == {name for name in NAMES if name.startswith("os/")}
    assert "preflight/etcd-disk" in offered("bootstrap", "--ignore", "preflight/e")
    assert offered("render", "os/sysctl", "--host", "w") == {"w1", "w2"}


def test_playbooks_and_files(offered: Offered) -> None:
    """Our own by their names; what is typed stands for the files that the shell adds."""
    assert offered("plan", "boot") == {"bootstrap", "boot"}
    assert offered("run", "up") == {"upgrade", "up"}


def test_labs_and_their_machines(offered: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that this user has."""
    monkeypatch.setenv("XDG_STATE_HOME", str(offered.folder / "state"))
    assert offered("lab", "status", "--name", "") == set()

    Directory("demo").save(make_state(name="demo"))

    assert offered("lab", "status", "--name", "") == {"demo"}
    assert offered("lab", "kill", "--name", "demo", "w") == {"w1", "w2"}


def test_an_inventory_with_mistakes_offers_nothing_and_says_nothing(offered: Offered) -> None:
    """A prompt is no place for an error."""
    (offered.folder / "inventory.yaml").write_text("cluster: [")

    assert offered("drain", "") == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(call: Call, shell: str) -> None:
    """It is the shell's own language, and names the program."""
    result = call("completion", shell)

    assert result.exit_code == 0
    assert "_CLUSTERCTL_COMPLETE" in result.stdout
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=result.stdout, text=True, check=True)


def test_bash_completes(call: Call, tmp_path: Path) -> None:
    """In a real bash, by the function that it was given."""
    script = call("completion", "bash").stdout
    bin_folder = Path(sys.executable).parent
    question = f"""
PATH={bin_folder}:$PATH
{script}
COMP_WORDS=(clusterctl drain w) COMP_CWORD=2 COMPREPLY=()
_clusterctl_completion clusterctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

    done = subprocess.run(["bash", "-c", question], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout.split() == ["w1", "w2", "worker"]


def test_every_command_has_an_example() -> None:
    """In its help, as somebody would type it."""

    def check(command: object, path: tuple[str, ...]) -> None:
        if path:
            example = str(getattr(command, "epilog", ""))
            assert example.startswith("Example: "), path
            assert "clusterctl " in example, path
            assert all(word in example for word in path), (path, example)
        for name in getattr(command, "list_commands", lambda _: [])(None):
            child = command.get_command(None, name)  # type: ignore[attr-defined]
            check(child, (*path, name))

    check(cli, ())
