"""Access as the command line has it: sudo's password, bastions, and what comes out of all of it."""

import json
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError
from clusterctl.remote import handshake
from clusterctl.remote.known_hosts import HostKey, KnownHosts
from clusterctl.remote.way import Way
from tests.cli.conftest import INVENTORY, Call, FakeMachines, lines
from tests.cli.test_hosts import key

BASTION = "ssh: {user: ubuntu, bastion: {address: jump.example, user: jump}}\n"


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("words", [("status", "-K"), ("-K", "facts"), ("plan", "bootstrap", "--ask-sudo-password")])
def test_sudos_password_is_typed_once_and_shown_nowhere(
    words: tuple[str, ...], call: Call, machines: FakeMachines
) -> None:
    """Before or after the verb; the prompt goes to standard error."""
    result = call(*words, answer="hunter22\n")

    assert machines.sudo_password is not None
    assert machines.sudo_password.reveal() == "hunter22"
    assert result.stderr.count("sudo's password") == 1
    assert "hunter22" not in result.output


@pytest.mark.usefixtures("terminal", "machines")
def test_the_next_step_asks_again(call: Call) -> None:
    """A command to paste that forgets -K would fail."""
    result = call("bootstrap", "-K", "--yes", answer="hunter22\n")

    assert result.exit_code == 0
    assert "clusterctl -K status" in result.stdout


@pytest.mark.usefixtures("machines")
def test_nobody_can_type_without_a_terminal(call: Call) -> None:
    """The inventory can say where the password is."""
    result = call("status", "-K")

    assert result.exit_code == 2
    assert "there is no terminal" in result.stderr
    assert "sudo_password: {env: NAME}" in result.stderr


def test_check_shows_who_logs_in_where_and_through_whom(call: Call, tmp_path: Path) -> None:
    """What the inventory and OpenSSH's configuration come to, and no secret."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host 192.0.2.21\n  Hostname w1.internal\n")
    (tmp_path / "inventory.yaml").write_text(INVENTORY + BASTION.replace("}}", "}, sudo_password: {env: NONE}}"))

    shown = call("inventory", "check").stdout
    as_json = json.loads(call("inventory", "check", "--json").stdout)

    assert "ubuntu@192.0.2.11 through jump@jump.example" in shown
    assert "ubuntu@w1.internal through jump@jump.example" in shown
    assert as_json["ssh"]["sudo_password"] == {"env": "NONE", "file": None}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Who was asked for keys, in order; hosts behind an unknown bastion cannot be."""
    order: list[str] = []

    def fetch(way: Way, connect: object) -> list[HostKey]:
        file = KnownHosts(tmp_path / ".ssh" / "known_hosts")
        if way.via and not file.lookup(way.via.address, way.via.port).keys:
            raise ConnectError(f"{way.via.name}: the host key is not known")
        order.append(way.name)
        return [key(way.address)]

    monkeypatch.setattr(handshake, "fetch_host_keys", fetch)
    (tmp_path / "inventory.yaml").write_text(INVENTORY + BASTION)
    return order


@pytest.mark.usefixtures("terminal")
def test_the_bastion_is_trusted_before_what_is_behind_it(call: Call, asked: list[str], tmp_path: Path) -> None:
    """One question for it, one for the hosts, and each key under its own address."""
    result = call("hosts", "trust", answer="y\ny\n")

    assert result.exit_code == 0
    assert asked[0] == "jump.example"
    assert set(asked[1:]) == {"cp1", "w1", "w2"}
    assert result.stderr.index("keys of jump.example?") < result.stderr.index("keys of cp1 w1 w2?")
    file = KnownHosts(tmp_path / ".ssh" / "known_hosts")
    assert file.lookup("jump.example").keys == (key("jump.example"),)
    assert file.lookup("192.0.2.21").keys == (key("192.0.2.21"),)


@pytest.mark.usefixtures("terminal")
def test_a_bastion_that_is_not_trusted_ends_it(call: Call, asked: list[str]) -> None:
    """Nobody is asked through it."""
    result = call("hosts", "trust", answer="n\n")

    assert result.exit_code == 3
    assert asked == ["jump.example"]


def test_a_known_bastion_is_not_asked_again(call: Call, asked: list[str]) -> None:
    """Unless it is named."""
    call("hosts", "trust", "--yes")
    asked.clear()

    hosts = call("hosts", "trust", "w1")
    named = call("hosts", "trust", "jump.example")

    assert asked == ["w1", "jump.example"]
    assert lines(hosts)[-1].startswith("Nothing to record")
    assert lines(named)[0].split()[:2] == ["jump.example", "jump.example"]


def test_trust_as_json_has_the_bastion_first(call: Call, asked: list[str]) -> None:
    """One list."""
    told = json.loads(call("hosts", "trust", "w1", "--yes", "--json").stdout)

    assert [each["host"] for each in told] == ["jump.example", "w1"]


@pytest.mark.usefixtures("asked")
def test_a_bastion_that_is_one_of_the_machines_is_no_copy(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its outer address it shows the key of the host that it is."""

    def shown(way: Way, connect: object) -> list[HostKey]:
        return [key("192.0.2.11" if way.name == "jump.example" else way.address)]

    monkeypatch.setattr(handshake, "fetch_host_keys", shown)

    assert call("hosts", "trust", "--yes").exit_code == 0
