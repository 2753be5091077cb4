"""Where a login leads and as whom: the inventory first, then OpenSSH's configuration, then what is usual."""

import subprocess
import sys
from pathlib import Path

import pytest

from clusterctl.errors import InputError
from clusterctl.model.inventory import Host, Ssh
from clusterctl.remote.way import Way, Ways

CONFIG = """
# comment
Include extra/*.conf
User everybody
Host web
  Hostname 10.0.0.1
  Port 2201
  User web-user
  IdentityFile ~/.ssh/web
  ProxyJump jump@bastion:2202
Host v6
  Hostname fd00::1
  ProxyJump [fd00::2]:2203
Host direct
  ProxyJump none
Host *.example.com
  Hostname %h.internal
Match host 10.0.0.1
  IdentityFile /nonexistent/more
Host bastion
  Hostname 203.0.113.1
  ProxyJump outer
Host circle
  ProxyJump circle2
Host circle2
  ProxyJump circle
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file like ~/.ssh/config, and one that it includes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "one.conf").write_text("Host included\n  Port 2299\n")
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def way(config: Path, address: str, ssh: object = None, host: object = None) -> Way:
    """The way to a host at ``address``, with keys of ``ssh`` and of the host."""
    settings = Ssh.model_validate({"config": str(config), **(ssh or {})})  # type: ignore[dict-item]
    made = {"name": "h1", "address": address, "role": "worker", **(host or {})}  # type: ignore[dict-item]
    return Ways(settings).to(Host.model_validate(made))


def test_what_is_usual(tmp_path: Path) -> None:
    """Without a configuration: root, 22, ed25519, directly."""
    assert way(tmp_path / "none", "10.0.0.1") == Way("h1", "10.0.0.1", 22, "root", Path("~/.ssh/id_ed25519"))


def test_the_configuration_of_openssh_fills_in(config: Path, tmp_path: Path) -> None:
    """Hostname, User, Port, IdentityFile, ProxyJump, for what one would type after ssh."""
    found = way(config, "web")

    assert (str(found), found.port, found.key) == ("everybody@10.0.0.1", 2201, tmp_path / ".ssh/web")
    assert [str(each) for each in found.bastions] == ["everybody@outer", "jump@203.0.113.1"]
    assert [each.name for each in found.bastions] == ["outer", "bastion"]
    assert [each.port for each in found.bastions] == [22, 2202]


def test_the_inventory_wins(config: Path) -> None:
    """Key by key."""
    ssh = {
        "user": "ubuntu",
        "port": 2222,
        "key": "/k",
        "bastion": {"address": "b", "user": "j", "port": 1, "key": "/j"},
    }

    assert way(config, "web", ssh) == Way(
        "h1", "10.0.0.1", 2222, "ubuntu", Path("/k"), Way("b", "b", 1, "j", Path("/j"))
    )
    assert str(way(config, "web", ssh, {"user": "own", "port": 3})) == "own@10.0.0.1"
    assert way(config, "web", ssh, {"user": "own", "port": 3}).port == 3


def test_a_bastion_of_the_inventory_takes_what_the_hosts_have(tmp_path: Path) -> None:
    """Its user and key are theirs unless it has its own; the port is not."""
    found = way(tmp_path / "none", "10.0.0.1", {"user": "u", "key": "/k", "port": 2222, "bastion": {"address": "b"}})

    assert found.via == Way("b", "b", 22, "u", Path("/k"))


def test_the_first_key_that_is_there_is_taken(config: Path, tmp_path: Path) -> None:
    """Of several; when none is there, the first one is told."""
    (tmp_path / "real").write_text("a key")
    config.write_text(f"Host a\n IdentityFile /nonexistent\n IdentityFile {tmp_path}/real\n")

    assert way(config, "a").key == tmp_path / "real"
    config.write_text("Host a\n IdentityFile /nonexistent\n IdentityFile /none\n")
    assert way(config, "a").key == Path("/nonexistent")


@pytest.mark.parametrize(
    ("address", "place", "port", "bastions"),
    [
        ("v6", "fd00::1", 22, [("fd00::2", 2203)]),
        ("fd00::9", "fd00::9", 22, []),
        ("direct", "direct", 22, []),
        ("a.example.com", "a.example.com.internal", 22, []),
        ("included", "included", 2299, []),
        ("10.9.9.9", "10.9.9.9", 22, []),
    ],
)
def test_where_an_address_leads(
    config: Path, address: str, place: str, port: int, bastions: list[tuple[str, int]]
) -> None:
    """IPv6, patterns, tokens, included files, and addresses that the file does not know."""
    found = way(config, address)

    assert (found.address, found.port) == (place, port)
    assert [(each.address, each.port) for each in found.bastions] == bastions


def test_a_command_may_decide(tmp_path: Path) -> None:
    """``Match exec``, in a process of its own, for invoke leaves pipes open."""
    path = tmp_path / "config"
    path.write_text('Match exec "test %n = a"\n  Port 2201\nMatch exec "echo no; exit 1"\n  User nobody\n')
    code = f"""
import sys
from pathlib import Path
from clusterctl.model.inventory import Host, Ssh
from clusterctl.remote.way import Ways

ways = Ways(Ssh(config=Path({str(path)!r})))
for name in "ab":
    way = ways.to(Host(name=name, address=name, role="worker"))
    print(way.port, way.user)
"""

    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["2201", "root", "22", "root"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Host a\n  Port ssh\n", "Port ssh of a is not a number"),
        ("Host a\n  ProxyJump b:ssh\n", "is not \\[USER@\\]HOST\\[:PORT\\]"),
        ("Host a\n  ProxyJump a\n", "ProxyJump goes in a circle: a a"),
        ("???\n", "cannot understand .*config"),
        ("Host 'a\n", "cannot understand .*config"),
        ("Match nonsense\n", "cannot understand .*config"),
        ("CanonicalizeHostname yes\n", "cannot understand .*config"),
        ("Include config\n", "too many files include each other"),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_bad_input(config: Path, text: str, message: str) -> None:
    """Never a traceback, and never half of it."""
    config.write_text(text)

    with pytest.raises(InputError, match=message):
        way(config, "a")


def test_a_circle_of_two_is_seen(config: Path) -> None:
    """Each names the other."""
    with pytest.raises(InputError, match=r"circle2? circle2? circle"):
        way(config, "circle")
