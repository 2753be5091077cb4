"""Hosts that a ProxyCommand of OpenSSH's configuration leads to: real servers, real commands."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError, HostKeyError
from clusterctl.model.inventory import Bastion
from clusterctl.remote.fleet import Fleet
from clusterctl.render import Script
from tests.remote.conftest import Sshd, wait_until

MakeSshd = Callable[..., Sshd]
MakeFleet = Callable[..., Fleet]

RELAY = """
import socket, sys, threading, os

print(f"leading to {sys.argv[1:]}", file=sys.stderr)
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
here = socket.socket(fileno=os.dup(0))

def copy(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)

threading.Thread(target=copy, args=(here, there), daemon=True).start()
copy(there, here)
"""


@pytest.fixture
def server(make_sshd: MakeSshd) -> Sshd:
    """A server that runs."""
    server = make_sshd()
    server.start()
    return server


@pytest.fixture
def led(make_fleet: MakeFleet, server: Sshd, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """A function that makes the server's fleet by a configuration with this ProxyCommand; it closes after the test."""
    (tmp_path / "relay.py").write_text(RELAY)
    fleets: list[Fleet] = []

    def make(command: str, **ssh: object) -> Fleet:
        inventory = make_fleet(server).inventory
        config = tmp_path / "ssh_config"
        config.write_text(f"Host *\n  ProxyCommand {command}\n")
        changed = inventory.ssh.model_copy(update={"config": config, **ssh})
        fleets.append(Fleet(inventory.model_copy(update={"ssh": changed})))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.close()


def relay(tmp_path: Path) -> str:
    """The command that leads to the host and the port that OpenSSH would put in."""
    return f"{sys.executable} {tmp_path}/relay.py %h %p"


def running(tmp_path: Path) -> bool:
    """Whether such a command runs."""
    lines = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return any(f"{tmp_path}/relay.py".encode() in line for line in lines)


def test_a_command_leads_to_the_host(led: Callable[..., Fleet], tmp_path: Path) -> None:
    """With the port of the inventory; it ends with the connection."""
    fleet = led(relay(tmp_path))
    connection = fleet.connection(fleet.inventory.hosts[0])
    connection.become = "env LC_ALL=C "

    assert connection.run(Script("test/script", "echo done")) == "done\n"
    assert running(tmp_path)
    connection.close()
    wait_until(lambda: not running(tmp_path))


def test_host_keys_are_as_strict(led: Callable[..., Fleet], tmp_path: Path) -> None:
    """What a command leads to has to be the host that we know."""
    fleet = led(relay(tmp_path), known_hosts=tmp_path / "nobody")

    with pytest.raises(HostKeyError, match="is not known"):
        fleet.connection(fleet.inventory.hosts[0])

    wait_until(lambda: not running(tmp_path))


def test_a_command_that_fails_is_quoted(led: Callable[..., Fleet]) -> None:
    """What it said, and how to try it."""
    fleet = led("sh -c 'echo no way there >&2; exit 1'")

    with pytest.raises(ConnectError, match="did not lead to an SSH server") as caught:
        fleet.connection(fleet.inventory.hosts[0])

    assert caught.value.details == "no way there"
    assert "try it by hand: sh -c" in caught.value.resolution


def test_a_bastion_of_the_inventory_comes_first(led: Callable[..., Fleet], tmp_path: Path) -> None:
    """The inventory wins over OpenSSH's configuration, for the hosts; the bastion itself may need a command."""
    fleet = led(relay(tmp_path), bastion=Bastion(address="192.0.2.9", port=2200))

    way = fleet.login.ways.to(fleet.inventory.hosts[0])

    assert way.command == ""
    assert way.via is not None
    assert way.via.command.endswith("relay.py 192.0.2.9 2200")
