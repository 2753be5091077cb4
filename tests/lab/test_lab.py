"""What the lab decides before it touches anything."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from clusterctl.cli import cli
from clusterctl.errors import InputError, Refused
from clusterctl.lab import host, making
from clusterctl.lab.lab import Lab, MachineStatus, find
from clusterctl.lab.making import up
from clusterctl.lab.progress import Told, Working
from clusterctl.lab.shape import Machine, Shape
from clusterctl.lab.state import Directory, this_boot
from tests.lab.builders import make_state


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Directory]:
    """A function that writes a lab down whose machines all seem to run, and lets nothing touch this computer."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(host, "check_suitable", lambda: None)

    def status(self: Lab, each: Machine) -> MachineStatus:
        return MachineStatus(each.name, each.role, each.address, "running", ssh=True, boots=1)

    monkeypatch.setattr(Lab, "machine_status", status)

    def write(boot: str = "") -> Directory:
        directory = Directory("lab")
        directory.save(make_state(boot=boot or this_boot()))
        return directory

    return write


def test_a_second_up_changes_nothing(running: Callable[..., Directory]) -> None:
    """No file of the lab is touched, and no machine counts as started."""
    directory = running()
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}

    again = up(Shape(control_planes=1, workers=2, kubernetes="1.36.3"))

    assert again.started == ()
    assert {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")} == before


def test_a_second_up_says_so(running: Callable[..., Directory]) -> None:
    """The command names what is there."""
    running()

    result = CliRunner().invoke(cli, ["lab", "up"])

    assert result.exit_code == 0
    assert "lab 'lab' is up already: 1 control plane and 2 workers" in result.output
    assert "nothing to do" in result.output


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape(kubernetes="1.35.4"), "runs already, with Kubernetes 1.36.3, not 1.35.4"),
        (Shape(sources="official"), "runs already, with the sources modules, not official"),
        (Shape(subnet="10.77.9.0/24"), "runs already, with the subnet 10.77.0.0/24, not 10.77.9.0/24"),
        (Shape(workers=1), "takes none away"),
    ],
)
def test_what_a_running_lab_cannot_become_is_refused(
    running: Callable[..., Directory], shape: Shape, message: str
) -> None:
    """The error offers to take the lab down or to start a second one."""
    running()

    with pytest.raises(Refused) as caught:
        up(shape)

    assert message in caught.value.what
    assert "clusterctl lab down --name lab" in caught.value.resolution


def test_a_lab_left_over_is_told_and_cleared_away(
    running: Callable[..., Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reboot of this computer takes the machines; `up` says so before it starts new ones."""
    running(boot="an earlier one")
    cleared: list[str] = []
    monkeypatch.setattr(making, "take_away", lambda state, directory, report: cleared.append(state.boot))
    monkeypatch.setattr(making, "_make", lambda shape, directory, report: Lab(make_state(), directory))
    events: list[Working | Told] = []

    up(Shape(), events.append)

    assert cleared == ["an earlier one"]
    assert Told("lab 'lab' is left over from this computer's last reboot; clearing it away first") in events


def test_two_commands_do_not_work_on_one_lab(running: Callable[..., Directory]) -> None:
    """The second is refused, whatever the first is doing."""
    directory = running()

    with directory.lock(), pytest.raises(Refused, match="another command is at work"):
        up(Shape())


def test_too_little_memory_is_refused_before_anything_is_built(
    running: Callable[..., Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check comes first, because what follows may take half an hour."""
    monkeypatch.setattr(host, "free_resources", lambda where: host.Resources(0, 0))

    (running().path / "lab.json").unlink()

    with pytest.raises(Refused, match="too little memory"):
        up(Shape())


def test_an_unknown_lab_is_told_with_those_that_exist(
    running: Callable[..., Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing mistake is answered with the names."""
    running()
    monkeypatch.setattr("os.geteuid", lambda: 0)

    with pytest.raises(InputError, match="you have no lab 'lba'") as caught:
        find("lba")

    assert caught.value.resolution == "use one of: lab"


def test_a_user_who_is_not_root_has_no_lab(running: Callable[..., Directory], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sudo another state directory is looked at, and the error says so."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(InputError, match="you have no lab 'lab'") as caught:
        find("lab")

    assert "sudo" in caught.value.resolution


def test_an_unknown_machine_is_told_with_those_that_exist(running: Callable[..., Directory]) -> None:
    """Every verb that takes a host answers a typing mistake alike."""
    running()

    with pytest.raises(InputError) as caught:
        find().ssh_command("w9")

    assert caught.value.resolution == "use one of: cp1, w1, w2"


def test_ssh_knows_the_host_and_nobody_else(running: Callable[..., Directory]) -> None:
    """The lab's key and known hosts are used, strictly, and the user's own settings are not."""
    directory = running()

    words = find().ssh_command("w1", "uptime")

    assert words[:5] == ["ssh", "-F", "none", "-i", str(directory.key)]
    assert "StrictHostKeyChecking=yes" in words
    assert words[-2:] == ["admin@10.77.0.21", "uptime"]


def test_status_is_there_for_programs(running: Callable[..., Directory]) -> None:
    """JSON has the machines and the path of the inventory."""
    directory = running()

    result = CliRunner().invoke(cli, ["lab", "status", "--json"])

    assert '"leftover": false' in result.output
    assert f'"inventory": "{directory.inventory}"' in result.output
    assert '"state": "running"' in result.output


def test_a_port_that_is_taken_is_passed_over() -> None:
    """The next one is used; when all are taken, the error says how to see by what."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        assert making._free_port("127.0.0.1", port) > port


def test_ports_that_are_all_taken_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the range."""
    monkeypatch.setattr(making, "_PORTS", 0)

    with pytest.raises(Refused, match="every port from 8080"):
        making._free_port("127.0.0.1", 8080)
