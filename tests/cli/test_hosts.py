"""``clusterctl hosts trust``: which keys are shown, recorded, refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError
from clusterctl.remote import handshake
from clusterctl.remote.known_hosts import HostKey, KnownHosts
from clusterctl.remote.way import Way
from tests.cli.conftest import Call, lines

Keys = dict[str, list[HostKey] | ConnectError]


def key(name: str, kind: str = "ssh-ed25519") -> HostKey:
    """A key that is like no other key."""
    return HostKey(kind, len(kind).to_bytes(4, "big") + kind.encode() + name.encode())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Keys:
    """What each address shows."""
    keys: Keys = {
        "192.0.2.11": [key("cp1"), key("cp1", "ssh-rsa")],
        "192.0.2.21": [key("w1")],
        "192.0.2.22": [key("w2")],
    }

    def fetch(way: Way, connect: object) -> list[HostKey]:
        answer = keys[way.address]
        if isinstance(answer, ConnectError):
            raise answer
        return answer

    monkeypatch.setattr(handshake, "fetch_host_keys", fetch)
    return keys


@pytest.fixture
def known(tmp_path: Path) -> Callable[[str], tuple[HostKey, ...]]:
    """What the file knows of an address."""
    return lambda address: KnownHosts(tmp_path / ".ssh" / "known_hosts").lookup(address).keys


@pytest.mark.usefixtures("shown")
def test_keys_are_shown_and_recorded(call: Call, known: Callable[[str], tuple[HostKey, ...]]) -> None:
    """Host, address, type and fingerprint of each key."""
    result = call("hosts", "trust", "--yes")

    assert result.exit_code == 0
    assert lines(result)[2].split() == ["w1", "192.0.2.21", "ssh-ed25519", key("w1").fingerprint, "new"]
    assert lines(result)[-1].startswith("Recorded 3 hosts in ")
    assert known("192.0.2.11") == (key("cp1"), key("cp1", "ssh-rsa"))


@pytest.mark.usefixtures("shown")
def test_known_keys_are_not_asked_about(call: Call) -> None:
    """The second time there is nothing to record."""
    call("hosts", "trust", "--yes")

    result = call("hosts", "trust")

    assert result.exit_code == 0
    assert lines(result)[-1].startswith("Nothing to record: ")


@pytest.mark.usefixtures("shown", "terminal")
def test_keys_are_recorded_after_a_yes_only(call: Call, known: Callable[[str], tuple[HostKey, ...]]) -> None:
    """The question names the hosts."""
    refused = call("hosts", "trust", "w1", "w2", answer="n\n")
    nothing = known("192.0.2.21")
    accepted = call("hosts", "trust", "w1", answer="y\n")

    assert refused.exit_code == 3
    assert "Do you trust the keys of w1 w2?" in refused.stderr
    assert nothing == ()
    assert accepted.exit_code == 0
    assert known("192.0.2.21") == (key("w1"),)
    assert known("192.0.2.22") == ()


@pytest.mark.usefixtures("shown")
def test_without_a_terminal_yes_is_needed(call: Call, known: Callable[[str], tuple[HostKey, ...]]) -> None:
    """Nobody can compare the fingerprints."""
    assert call("hosts", "trust").exit_code == 3
    assert known("192.0.2.11") == ()


def test_two_hosts_with_one_key_are_always_refused(
    call: Call, shown: Keys, known: Callable[[str], tuple[HostKey, ...]]
) -> None:
    """A cloned machine: --yes and --replace make no difference, and nothing is recorded."""
    shown["192.0.2.22"] = [key("w1")]

    result = call("hosts", "trust", "--yes", "--replace")

    assert result.exit_code == 3
    assert "w1 w2 have the same host key" in result.stderr
    assert "ssh-keygen -A" in result.stderr
    assert known("192.0.2.11") == ()


def test_the_key_of_a_host_that_was_not_asked_counts(call: Call, shown: Keys) -> None:
    """w2 shows what is recorded for w1."""
    call("hosts", "trust", "w1", "--yes")
    shown["192.0.2.22"] = [key("w1")]

    result = call("hosts", "trust", "w2", "--yes")

    assert result.exit_code == 3
    assert "w2 w1 have the same host key" in result.stderr


def test_a_changed_key_needs_replace(call: Call, shown: Keys, known: Callable[[str], tuple[HostKey, ...]]) -> None:
    """Both keys are told; --yes alone is not enough; --replace forgets the old one."""
    call("hosts", "trust", "--yes")
    shown["192.0.2.21"] = [key("w1 installed again")]

    refused = call("hosts", "trust", "--yes")
    replaced = call("hosts", "trust", "--yes", "--replace")

    assert refused.exit_code == 3
    assert f"known: ssh-ed25519 {key('w1').fingerprint}" in refused.stderr
    assert "clusterctl hosts trust --replace w1" in refused.stderr
    assert replaced.exit_code == 0
    assert known("192.0.2.21") == (key("w1 installed again"),)
    assert known("192.0.2.22") == (key("w2"),)


def test_a_key_of_one_more_type_is_no_change(call: Call, shown: Keys) -> None:
    """The host is known by its ed25519 key."""
    call("hosts", "trust", "--yes")
    shown["192.0.2.21"] = [key("w1"), key("w1", "ssh-rsa")]

    assert lines(call("hosts", "trust"))[-1].startswith("Nothing to record: ")


def test_a_revoked_key_is_refused(call: Call, shown: Keys, tmp_path: Path) -> None:
    """Whoever revoked it had a reason."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"@revoked 192.0.2.21 ssh-ed25519 {key('w1').base64}\n")

    result = call("hosts", "trust", "--yes", "--replace")

    assert result.exit_code == 3
    assert "is revoked" in result.stderr


def test_the_hosts_that_answer_are_recorded(
    call: Call, shown: Keys, known: Callable[[str], tuple[HostKey, ...]]
) -> None:
    """A host that is off is told at the end, by its name; 4."""
    shown["192.0.2.22"] = ConnectError("w2: no route", resolution="switch it on")

    result = call("hosts", "trust", "--yes")

    assert result.exit_code == 4
    assert result.stderr == "w2: no route\n  Next: switch it on\n"
    assert known("192.0.2.21") == (key("w1"),)


@pytest.mark.usefixtures("shown")
def test_trust_as_json(call: Call) -> None:
    """The keys, and how they stood before."""
    told = json.loads(call("hosts", "trust", "w1", "--yes", "--json").stdout)

    assert told == [
        {
            "host": "w1",
            "address": "192.0.2.21",
            "port": 22,
            "state": "new",
            "keys": [{"type": "ssh-ed25519", "fingerprint": key("w1").fingerprint}],
        }
    ]
