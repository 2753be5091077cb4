"""Hosts behind a bastion: one session with it, strict keys on both, and errors that say which of the two."""

import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError, HostKeyError, InputError
from clusterctl.model.inventory import Bastion, Ssh
from clusterctl.remote.bastion import Bastions
from clusterctl.remote.connection import Connection
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.handshake import fetch_host_keys
from clusterctl.remote.login import Login
from clusterctl.remote.tunnel import Tunnel
from clusterctl.render import Script
from tests.remote.conftest import KEY_TYPES, Sshd, free_port, keygen, public_key, wait_until

MakeSshd = Callable[..., Sshd]
MakeFleet = Callable[..., Fleet]
SCRIPT = Script("test/script", "echo done")


def behind(fleet: Fleet, bastion: Sshd, *, trusted: bool = True, **more: object) -> Fleet:
    """The same hosts, reached through a bastion."""
    place = Bastion.model_validate({"address": bastion.address, "port": bastion.port, **more})
    ssh = fleet.inventory.ssh.model_copy(update={"bastion": place})
    made = Fleet(fleet.inventory.model_copy(update={"ssh": ssh}))
    if trusted:
        keys = [public_key(bastion.host_key(kind)) for kind in KEY_TYPES]
        made.login.known_hosts.record(bastion.address, bastion.port, keys)
    return made


def first(fleet: Fleet) -> Connection:
    """The connection to the first host, as a user who needs no sudo."""
    connection = fleet.connection(fleet.inventory.hosts[0])
    connection.become = "env LC_ALL=C "
    return connection


@pytest.fixture
def bastion(make_sshd: MakeSshd) -> Sshd:
    """A server that runs."""
    server = make_sshd()
    server.start()
    return server


def test_hosts_are_reached_through_one_session_with_the_bastion(
    make_sshd: MakeSshd, make_fleet: MakeFleet, bastion: Sshd
) -> None:
    """However many there are, at once; each answers for itself."""
    servers = [make_sshd() for _ in range(3)]
    for server in servers:
        server.start()

    with behind(make_fleet(*servers), bastion) as fleet:
        connections = [attempt.result() for attempt in fleet.begin(fleet.inventory.hosts).values()]
        for connection in connections:
            connection.become = "env LC_ALL=C "
        answers = [connection.run(SCRIPT) for connection in connections]

        assert answers == ["done\n"] * 3
        assert len(bastion.sessions()) == 1


def test_large_output_passes_a_bastion_whole(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """More than the windows of both sessions hold, in both directions at once."""
    text = "head -c 4000000 /dev/zero | tr '\\0' a\n" + "# padding\n" * 200_000 + "echo end\n"

    with behind(make_fleet(sshd), bastion) as fleet:
        assert first(fleet).run(Script("test/script", text)) == "a" * 4_000_000 + "end\n"


def test_a_tunnel_leads_through_the_bastion_and_the_host(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """The API is reached like this."""
    with (
        behind(make_fleet(sshd), bastion) as fleet,
        Tunnel(first(fleet), "127.0.0.1", sshd.port) as tunnel,
        socket.create_connection(("127.0.0.1", tunnel.port), timeout=10) as caller,
    ):
        assert caller.recv(8).startswith(b"SSH-2.0-")


def test_an_unknown_bastion_is_not_logged_in_to(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """Its key is as strict as a host's; the next step trusts it."""
    with behind(make_fleet(sshd), bastion, trusted=False) as fleet, pytest.raises(HostKeyError) as caught:
        first(fleet)

    assert f"{bastion.address} port {bastion.port} is not known" in caught.value.what
    assert caught.value.resolution == f"clusterctl hosts trust {bastion.address}"


def test_a_host_behind_a_bastion_has_to_show_its_own_key(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """A bastion cannot put another machine in its place."""
    with behind(make_fleet(sshd, trusted=()), bastion) as fleet, pytest.raises(HostKeyError) as caught:
        first(fleet)

    assert caught.value.what == f"h1: the host key of {sshd.address} port {sshd.port} is not known"


def test_a_bastion_that_is_off_is_told_alike(make_sshd: MakeSshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """In the same words for each host behind it, so that it can be told once."""
    servers = [make_sshd() for _ in range(3)]
    bastion.stop()

    with behind(make_fleet(*servers), bastion) as fleet:
        errors = {str(attempt.exception()) for attempt in fleet.begin(fleet.inventory.hosts).values()}

    (error,) = errors
    assert error.startswith(f"{bastion.address}: {bastion.address} port {bastion.port} refuses connections")


def test_a_host_that_the_bastion_cannot_reach_is_told(
    make_sshd: MakeSshd, make_fleet: MakeFleet, bastion: Sshd
) -> None:
    """By its name, with the bastion's."""
    with behind(make_fleet(make_sshd()), bastion) as fleet, pytest.raises(ConnectError) as caught:
        first(fleet)

    assert caught.value.what.startswith(f"h1: the bastion {bastion.address} cannot connect to ")
    assert caught.value.details == "Connect failed"


def test_a_bastion_that_forbids_forwarding_is_told(make_sshd: MakeSshd, sshd: Sshd, make_fleet: MakeFleet) -> None:
    """With the setting that allows it."""
    closed = make_sshd()
    closed.options = ["AllowTcpForwarding no"]
    closed.start()

    with behind(make_fleet(sshd), closed) as fleet, pytest.raises(ConnectError, match="forbids forwarding") as caught:
        first(fleet)

    assert "AllowTcpForwarding" in caught.value.resolution


def test_a_bastion_has_a_user_and_a_key_of_its_own(
    sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd, tmp_path: Path
) -> None:
    """A key that it does not know is told with its name."""
    other = keygen(tmp_path / "other")

    with (
        behind(make_fleet(sshd), bastion, key=str(other), user="jump") as fleet,
        pytest.raises(ConnectError, match=rf"jump@{bastion.address} rejects the key {other}"),
    ):
        first(fleet)


def test_a_lost_bastion_is_logged_in_to_again(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """Nothing had been sent."""
    with behind(make_fleet(sshd), bastion) as fleet:
        connection = first(fleet)
        bastion.cut()

        assert connection.read(SCRIPT) == "done\n"


def test_a_bastion_that_is_a_host_is_reached_directly(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """Not through itself."""
    with behind(make_fleet(sshd), sshd) as fleet:
        assert first(fleet).run(SCRIPT) == "done\n"
        assert len(sshd.sessions()) == 1


def test_host_keys_are_fetched_through_the_bastion(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """Which is logged in to for that; the host is not."""
    with behind(make_fleet(sshd, trusted=()), bastion) as fleet:
        way = fleet.login.ways.to(fleet.inventory.hosts[0])

        found = fetch_host_keys(way, fleet.bastions.wire)

    assert found == [public_key(sshd.host_key(kind)) for kind in ("ed25519", "ecdsa", "rsa")]


def config(tmp_path: Path, text: str) -> Path:
    """A file as ~/.ssh/config."""
    path = tmp_path / "config"
    path.write_text(text)
    return path


def test_a_chain_of_bastions_from_the_configuration_of_openssh(
    make_sshd: MakeSshd, make_fleet: MakeFleet, sshd: Sshd, bastion: Sshd, tmp_path: Path
) -> None:
    """ProxyJump names two, by the names that the file gives them."""
    inner = make_sshd()
    inner.start()
    fleet = make_fleet(sshd, bastion, inner)  # All three are known.
    key = shlex.quote(str(sshd.keys / "login"))
    text = f"""
        Host {sshd.address}
          ProxyJump outer,inner
        Host outer
          Hostname {bastion.address}
          Port {bastion.port}
        Host inner
          Hostname {inner.address}
          Port={inner.port}
        Host *
          IdentityFile {key}
    """
    ssh = fleet.inventory.ssh.model_copy(update={"config": config(tmp_path, text), "key": None})

    with Fleet(fleet.inventory.model_copy(update={"ssh": ssh})) as chained:
        assert first(chained).run(SCRIPT) == "done\n"
        assert [len(server.sessions()) for server in (bastion, inner, sshd)] == [1, 1, 1]


def test_an_unreadable_configuration_is_bad_input(sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path) -> None:
    """With the way to leave it out."""
    fleet = make_fleet(sshd)
    ssh = fleet.inventory.ssh.model_copy(update={"config": config(tmp_path, "Host *\n  Port ssh\n"), "port": None})
    hosts = tuple(host.model_copy(update={"port": None}) for host in fleet.inventory.hosts)

    with pytest.raises(InputError, match="Port ssh"):
        first(Fleet(fleet.inventory.model_copy(update={"ssh": ssh, "hosts": hosts})))


def test_a_bastion_is_closed_with_the_fleet(sshd: Sshd, make_fleet: MakeFleet, bastion: Sshd) -> None:
    """Nothing of ours stays on it."""
    fleet = behind(make_fleet(sshd), bastion)
    first(fleet)

    fleet.close()

    wait_until(lambda: not bastion.sessions())


def test_a_bastion_of_ipv6(make_sshd: MakeSshd, make_fleet: MakeFleet) -> None:
    """Both it and the host behind it."""
    try:
        free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    bastion, host = make_sshd("::1"), make_sshd("::1")
    bastion.start()
    host.start()

    with behind(make_fleet(host), bastion) as fleet:
        assert first(fleet).run(SCRIPT) == "done\n"


def test_bastions_without_a_way_through_connect_directly(sshd: Sshd) -> None:
    """No library is needed for that."""
    with Bastions(Login(Ssh(config=Path("/dev/null")))).wire(sshd.way) as wire:  # type: ignore[union-attr]
        assert wire.place == f"{sshd.address} port {sshd.port}"
