"""A command of the operator's own on many hosts: in memory for who may, on real SSH servers for what comes out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError
from tests.cli.conftest import Call, FakeMachines, lines
from tests.cli.test_opening import servers  # noqa: F401 - a fixture.
from tests.remote.conftest import Sshd, keys, make_sshd, wait_until  # noqa: F401 - fixtures.


def test_hosts_are_chosen_by_name_and_role(call: Call, machines: FakeMachines) -> None:
    """In the inventory's order, each once; without any, all."""
    call("exec", "w2", "worker", "--read-only", "--", "true")
    call("exec", "--read-only", "--", "true")

    assert [host for host, _, _ in machines.executed[:2]] == ["w1", "w2"]
    assert [host for host, _, _ in machines.executed[2:]] == ["cp1", "w1", "w2"]


def test_lines_come_with_their_host(call: Call, machines: FakeMachines) -> None:
    """And nothing else is on standard output."""
    result = call("exec", "--read-only", "--", "uptime")

    assert result.exit_code == 0
    assert sorted(lines(result)) == ["cp1 | uptime", "w1  | uptime", "w2  | uptime"]


def test_words_are_run_as_they_stand(call: Call, machines: FakeMachines) -> None:
    """One word is a line of shell."""
    call("exec", "w1", "--read-only", "--", "echo", "a b", "$HOME", "--yes")
    call("exec", "w1", "--read-only", "--as-user", "--", "echo $HOME | wc -c")

    assert machines.executed == [("w1", "echo 'a b' '$HOME' --yes", True), ("w1", "echo $HOME | wc -c", False)]


def test_what_may_change_something_is_asked_for(call: Call, machines: FakeMachines) -> None:
    """Nobody can answer here."""
    result = call("exec", "worker", "--", "reboot")

    assert result.exit_code == 3
    assert "Run this on w1 w2 as root: reboot" in result.stderr
    assert machines.executed == []
    assert call("exec", "worker", "--yes", "--", "reboot").exit_code == 0


def test_another_operator_is_not_worked_against(call: Call, machines: FakeMachines) -> None:
    """A command that only reads may run beside him."""
    machines.holder = "eve@laptop"

    result = call("exec", "w1", "--yes", "--", "reboot")

    assert result.exit_code == 3
    assert "eve@laptop" in result.stderr
    assert machines.executed == []
    assert call("exec", "w1", "--read-only", "--", "uptime").exit_code == 0


def test_the_worst_host_counts(call: Call, machines: FakeMachines) -> None:
    """The largest exit status; a host that is not reached is told, and the others go on."""
    assert call("exec", "--read-only", "--", "exit 7").exit_code == 7
    machines.broken = {"w1": ConnectError("w1: it is off")}

    result = call("exec", "--read-only", "--", "exit 7")

    assert result.exit_code == 4
    assert "w1: it is off" in result.stderr
    assert sorted(lines(result)) == ["cp1 | exit 7", "w2  | exit 7"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("exec", "w9", "--read-only", "--", "true"), "no host 'w9'"),
        (("exec", "w1", "--read-only"), "there is no command"),
        (("exec", "spare", "--read-only", "--", "true"), "no host of the inventory is a spare"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_sent(
    call: Call, machines: FakeMachines, words: tuple[str, ...], said: str
) -> None:
    """An unknown host, a role that nobody has, and no command."""
    result = call(*words)

    assert result.exit_code == 2
    assert said in result.stderr
    assert machines.executed == []


def test_the_audit_trail_has_it(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """Who, where, what, and how it ended."""
    call("exec", "w1", "--yes", "--", "exit 3")

    (trail,) = (tmp_path / "state" / "clusterctl" / "runs").glob("*-exec-*.ndjson")
    events = {event["event"]: event for event in map(json.loads, trail.read_text().splitlines())}
    assert events["exec"]["text"] == "exit 3"
    assert events["exec"]["hosts"] == ["w1"]
    assert events["ran"]["status"] == 3
    assert events["ran"]["stdout"] == "exit 3\n"


def test_json_has_everything(call: Call, machines: FakeMachines) -> None:
    """An entry a host, and nothing beside it on standard output."""
    machines.broken = {"w1": ConnectError("w1: it is off")}

    told = json.loads(call("exec", "worker", "--read-only", "--json", "--", "exit 3").stdout)

    assert told == [
        {"host": "w1", "status": None, "stdout": "", "stderr": "", "error": "w1: it is off"},
        {"host": "w2", "status": 3, "stdout": "exit 3\n", "stderr": ""},
    ]


@pytest.fixture
def real(servers: list[Sshd]) -> list[Sshd]:  # noqa: F811
    """Two real servers, as the hosts of the inventory; they run."""
    for server in servers:
        server.start()
    return servers


def as_in_the_foreground() -> None:
    """Let a process be interrupted, also where the tests themselves run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


root = pytest.mark.skipif(os.geteuid() != 0, reason="it runs as root here")


@root
def test_output_of_real_hosts(call: Call, real: list[Sshd]) -> None:
    """Both streams, an unfinished last line, other people's control characters, and exit statuses."""
    result = call("exec", "worker", "--read-only", "--", "printf 'one\\n\\033[31mtwo'; echo three >&2; exit 9")

    assert result.exit_code == 9
    assert lines(result) == ["worker1 | one", "worker1 | \N{REPLACEMENT CHARACTER}[31mtwo"]
    assert "worker1 | three\n" in result.stderr
    assert "worker1: exit status 9" in result.stderr


@root
def test_a_command_that_is_not_there(call: Call, real: list[Sshd]) -> None:
    """The shell's own words and status."""
    result = call("exec", "worker", "--read-only", "--", "no-such-program")

    assert result.exit_code == 127
    assert "no-such-program" in result.stderr


@root
def test_output_without_end_is_cut_off(call: Call, real: list[Sshd]) -> None:
    """It is said, and the other hosts are not held up."""
    result = call("exec", "--read-only", "--max-output", "1", "--json", "--", "yes $$ | head -c 100000000")

    told = json.loads(result.stdout)
    assert result.exit_code == 6
    assert [len(each["stdout"]) for each in told] == [1 << 20] * 2
    assert "worker1: the command was cut off after 1 MiB of output" in told[1]["error"]


@root
def test_a_host_that_dies_in_the_middle(call: Call, real: list[Sshd], tmp_path: Path) -> None:
    """It is named, its outcome unknown; the other one goes on."""
    go = tmp_path / "cut"
    command = f'test "$SSH_CONNECTION" = "${{SSH_CONNECTION#*127.0.0.2}}" && exit; touch {go}; sleep 60'
    process = subprocess.Popen(
        [sys.executable, "-m", "clusterctl", "exec", "--read-only", "--as-user", "--json", "--", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(go.exists, 30)
    real[1].cut()

    out, err = process.communicate(timeout=60)

    assert process.returncode == 5
    told = {each["host"]: each for each in json.loads(out)}
    assert told["control-plane1"]["status"] == 0
    assert told["worker1"]["status"] is None
    assert "worker1: the connection broke" in told["worker1"]["error"]
    assert "worker1" in err


@root
def test_ctrl_c_ends_it_at_once(call: Call, real: list[Sshd], tmp_path: Path) -> None:
    """Although the hosts go on saying nothing."""
    begun = tmp_path / "begun"
    process = subprocess.Popen(
        [sys.executable, "-m", "clusterctl", "exec", "worker", "--read-only", "--", f"touch {begun}; sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_the_foreground,
    )
    wait_until(begun.exists, 30)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)

    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "may go on there" in err
    assert time.monotonic() - asked < 20
