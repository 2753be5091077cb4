"""Many hosts at once, and one that comes back."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from clusterctl.errors import ConnectError, HostKeyError, SeveralErrors
from clusterctl.remote import fleet as fleet_module
from clusterctl.remote.fleet import Fleet
from clusterctl.render import Script
from tests.remote.conftest import Sshd, keygen, public_key, wait_until

MakeSshd = Callable[..., Sshd]
MakeFleet = Callable[..., Fleet]


@pytest.fixture
def servers(make_sshd: MakeSshd) -> list[Sshd]:
    """Three servers that run."""
    servers = [make_sshd() for _ in range(3)]
    for server in servers:
        server.start()
    return servers


def test_connect_opens_all_hosts_once(servers: list[Sshd], make_fleet: MakeFleet) -> None:
    """By their names; a second call finds them open."""
    fleet = make_fleet(*servers)

    first = fleet.connect(fleet.inventory.hosts)
    second = fleet.connect(fleet.inventory.hosts)

    assert list(first) == ["h1", "h2", "h3"]
    assert first == second
    assert all(connection.alive for connection in first.values())
    assert [len(server.sessions()) for server in servers] == [1, 1, 1]


def test_connect_tells_all_hosts_that_cannot_be_reached(servers: list[Sshd], make_fleet: MakeFleet) -> None:
    """And keeps the others."""
    fleet = make_fleet(*servers)
    servers[0].stop()
    servers[2].stop()

    with pytest.raises(SeveralErrors) as caught:
        fleet.connect(fleet.inventory.hosts)

    assert [error.what.partition(":")[0] for error in caught.value.errors] == ["h1", "h3"]
    assert caught.value.exit_code == ConnectError.exit_code
    assert fleet.connection(fleet.inventory.hosts[1]).alive


def test_connect_raises_the_one_error_itself(servers: list[Sshd], make_fleet: MakeFleet) -> None:
    """One host needs no list."""
    fleet = make_fleet(*servers)
    servers[1].stop()

    with pytest.raises(ConnectError, match="h2: "):
        fleet.connect(fleet.inventory.hosts)


def test_our_own_missing_key_is_told_once(servers: list[Sshd], make_fleet: MakeFleet) -> None:
    """It is no host's fault."""
    fleet = make_fleet(*servers, key=servers[0].folder / "none")

    with pytest.raises(ConnectError, match="there is no private key"):
        fleet.connect(fleet.inventory.hosts)


def test_many_threads_share_one_connection(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """Whoever comes first opens it."""
    fleet = make_fleet(sshd)
    host = fleet.inventory.hosts[0]
    found = []
    threads = [threading.Thread(target=lambda: found.append(fleet.connection(host))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert len(sshd.sessions()) == 1


def test_closing_leaves_no_connection_and_no_thread(servers: list[Sshd], make_fleet: MakeFleet) -> None:
    """As the end of a with block does."""
    before = threading.active_count()
    with make_fleet(*servers) as fleet:
        connections = fleet.connect(fleet.inventory.hosts)

    assert not any(connection.alive for connection in connections.values())
    wait_until(lambda: threading.active_count() <= before)
    for server in servers:
        wait_until(lambda server=server: not server.sessions())  # type: ignore[misc]


def test_reconnect_waits_for_a_host_that_restarts(
    sshd: Sshd, make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries until the server is back; the connection object stays the same."""
    monkeypatch.setattr(fleet_module, "_TRY_EVERY", 0.1)
    fleet = make_fleet(sshd)
    host = fleet.inventory.hosts[0]
    connection = fleet.connection(host)
    connection.become = ""
    sshd.stop()
    starter = threading.Timer(0.5, sshd.start)
    starter.start()

    again = fleet.reconnect(host, 20)
    starter.join()

    assert again is connection
    assert again.run(Script("test/script", "echo back")) == "back\n"


def test_reconnect_drops_a_connection_that_still_stands(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """After a reboot the old one may look alive."""
    fleet = make_fleet(sshd)
    host = fleet.inventory.hosts[0]
    fleet.connection(host)
    before = sshd.sessions()

    fleet.reconnect(host, 5)

    wait_until(lambda: len(sshd.sessions()) == 1)
    assert sshd.sessions() != before


def test_reconnect_gives_up_at_the_deadline_with_the_last_reason(
    sshd: Sshd, make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says how long it tried."""
    monkeypatch.setattr(fleet_module, "_TRY_EVERY", 0.1)
    fleet = make_fleet(sshd)
    sshd.stop()

    with pytest.raises(ConnectError, match=r"refuses connections.*\(tried for 1 s\)") as caught:
        fleet.reconnect(fleet.inventory.hosts[0], 1)

    assert caught.value.resolution


def test_reconnect_does_not_wait_for_a_changed_key(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """Time does not heal it."""
    fleet = make_fleet(sshd, trusted=())
    fleet.login.known_hosts.record(sshd.address, sshd.port, [public_key(keygen(sshd.folder / "other"))])

    with pytest.raises(HostKeyError):
        fleet.reconnect(fleet.inventory.hosts[0], 60)


def test_importing_the_package_imports_no_ssh_library() -> None:
    """``clusterctl --help`` does not pay for them."""
    code = (
        "import sys, clusterctl.remote.fleet, clusterctl.remote.tunnel, clusterctl.remote.probe; "
        "print([name for name in ('paramiko', 'fabric', 'invoke', 'cryptography') if name in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout == "[]\n"
