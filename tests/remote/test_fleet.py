"""Many hosts at once, and one that comes back."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError, HostKeyError
from clusterctl.remote import fleet as fleet_module
from clusterctl.remote.connection import Connection
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


def connect(fleet: Fleet) -> list[Connection]:
    """Connect to all hosts at once."""
    fleet.begin(fleet.inventory.hosts)
    return [fleet.connection(host) for host in fleet.inventory.hosts]


def test_what_was_begun_is_opened_once(servers: list[Sshd], make_fleet: MakeFleet) -> None:
    """Whoever asks for it gets it, however often."""
    fleet = make_fleet(*servers)

    first = connect(fleet)

    assert first == [fleet.connection(host) for host in fleet.inventory.hosts]
    assert all(connection.alive for connection in first)
    assert [len(server.sessions()) for server in servers] == [1, 1, 1]


def test_not_too_many_are_begun_at_once(
    servers: list[Sshd], make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are connected to when they are asked for."""
    monkeypatch.setattr(fleet_module, "_AT_ONCE", 2)
    fleet = make_fleet(*servers)

    assert list(fleet.begin(fleet.inventory.hosts)) == ["h1", "h2"]
    assert fleet.connection(fleet.inventory.hosts[2]).alive


def test_what_was_begun_in_vain_is_told_once_and_tried_again_when_it_is_asked_for(
    servers: list[Sshd], make_fleet: MakeFleet
) -> None:
    """The first who asks gets the error of the attempt that there was; the other hosts stay."""
    fleet = make_fleet(*servers)
    servers[1].stop()

    begun = fleet.begin(fleet.inventory.hosts)
    wait_until(begun["h2"].done)
    servers[1].start()

    with pytest.raises(ConnectError, match="h2: "):
        fleet.connection(fleet.inventory.hosts[1])
    assert all(fleet.connection(host).alive for host in fleet.inventory.hosts)


def test_our_own_missing_key_is_told_of_every_host_in_the_same_words(
    servers: list[Sshd], make_fleet: MakeFleet
) -> None:
    """It is no host's fault; so it can be told once."""
    fleet = make_fleet(*servers, key=servers[0].folder / "none")

    begun = fleet.begin(fleet.inventory.hosts)

    assert len({str(attempt.exception()) for attempt in begun.values()}) == 1
    assert "there is no private key" in str(begun["h1"].exception())


def test_closing_does_not_wait_for_a_host_that_is_silent(make_sshd: MakeSshd, make_fleet: MakeFleet) -> None:
    """Its connection is closed as soon as it is open."""
    server = make_sshd()
    with socket.create_server((server.address, server.port)) as silent:
        fleet = make_fleet(server)
        (begun,) = fleet.begin(fleet.inventory.hosts).values()
        caller, _ = silent.accept()

        fleet.close()

        assert not begun.done()
    server.start()
    with caller, socket.create_connection((server.address, server.port)) as answering:
        threads = [threading.Thread(target=pass_on, args=pair) for pair in ((caller, answering), (answering, caller))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not begun.result().alive


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Send what comes from one side to the other, until that side closes."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


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
        connections = connect(fleet)

    assert not any(connection.alive for connection in connections)
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
    assert imported("clusterctl.remote.fleet, clusterctl.remote.tunnel, clusterctl.remote.probe") == "[]\n"


def test_fabric_comes_without_what_nothing_here_needs() -> None:
    """Its invoke has a YAML of its own, for files of settings."""
    assert imported("clusterctl.remote.fabric_connection") == "['paramiko', 'invoke.context', 'cryptography']\n"


def test_what_waits_is_there_when_it_is_needed(tmp_path: Path) -> None:
    """Somebody's own fabric.yaml is read."""
    path = tmp_path / "fabric.yaml"
    path.write_text("run: {echo: true}\n")
    code = (
        f"import clusterctl.remote.fabric_connection, fabric; config = fabric.Config(runtime_path={str(path)!r}); "
        "config.load_runtime(); print(config.run.echo)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "True\n"


def imported(modules: str) -> str:
    """Which libraries a process has that imports ``modules``."""
    code = (
        f"import sys, {modules}; "
        "wanted = ('paramiko', 'invoke.context', 'invoke.vendor.yaml.loader', 'cryptography', 'jinja2'); "
        "print([name for name in wanted if name in sys.modules])"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
