"""The ways not to get in: each has its own sentence and its own next step."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError, HostKeyError, InputError
from clusterctl.model.inventory import Cluster, Host, Inventory, Ssh
from clusterctl.remote import handshake, wire
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.handshake import fetch_host_keys
from clusterctl.remote.known_hosts import HostKey
from clusterctl.remote.way import Way
from clusterctl.remote.wire import open_socket
from tests.remote.conftest import Sshd, directly, free_port, keygen, public_key, wait_until

MakeFleet = Callable[..., Fleet]


def connect(fleet: Fleet) -> None:
    """Connect to the first host."""
    fleet.connection(fleet.inventory.hosts[0])


def somewhere(
    address: str, port: int, key: Path = Path("/nonexistent/key"), known_hosts: Path = Path("/nonexistent/known_hosts")
) -> Fleet:
    """A fleet of one host that nobody prepared, and a key that does not exist."""
    return Fleet(
        Inventory(
            cluster=Cluster(name="test", kubernetes="1.36.3", endpoint="test:6443"),
            ssh=Ssh(user="root", key=key, known_hosts=known_hosts, config=Path("/dev/null")),
            hosts=(Host(name="h1", address=address, port=port, role="control-plane"),),
        )
    )


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], int]]:
    """Start servers that send some bytes to whoever connects, and hang up; without bytes they say nothing."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    over = threading.Event()

    def start(greeting: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer() -> None:
            caller, _ = listener.accept()
            # The client may hang up as soon as it has read enough, before this side has said all.
            with caller, contextlib.suppress(OSError):
                caller.settimeout(10)
                if greeting:
                    caller.sendall(greeting)
                    caller.shutdown(socket.SHUT_WR)
                    while caller.recv(1000):
                        pass
                else:
                    over.wait(10)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    over.set()
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


def test_an_unknown_host_key_is_refused_with_the_way_to_trust_it(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """Nobody is trusted at first sight."""
    with pytest.raises(HostKeyError) as caught:
        connect(make_fleet(sshd, trusted=()))

    assert "is not known" in caught.value.what
    assert public_key(sshd.host_key("ed25519")).fingerprint in caught.value.details
    assert caught.value.resolution == "clusterctl hosts trust h1"


def test_a_changed_host_key_shows_both_fingerprints_and_warns(
    sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path
) -> None:
    """The operator compares them on the console before anything else."""
    fleet = make_fleet(sshd, trusted=())
    old = public_key(keygen(tmp_path / "old"))
    fleet.login.known_hosts.record(sshd.address, sshd.port, [old])

    with pytest.raises(HostKeyError, match="intercepting") as caught:
        connect(fleet)

    assert old.fingerprint in caught.value.details
    assert public_key(sshd.host_key("ed25519")).fingerprint in caught.value.details
    assert "console of h1" in caught.value.resolution
    assert caught.value.resolution.endswith("clusterctl hosts trust --replace h1")


def test_a_revoked_host_key_is_refused(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """Although the same file also trusts it."""
    fleet = make_fleet(sshd)
    path = fleet.inventory.ssh.known_hosts
    key = public_key(sshd.host_key("ed25519"))
    path.write_text(path.read_text() + f"@revoked * {key.type} {key.base64}\n")
    again = Fleet(fleet.inventory)

    with pytest.raises(HostKeyError, match="revoked"):
        connect(again)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_host_known_by_one_key_alone_is_known(sshd: Sshd, make_fleet: MakeFleet, kind: str) -> None:
    """The server is asked for the type of key that known_hosts has, whichever we would prefer."""
    fleet = make_fleet(sshd, trusted=(kind,))

    connect(fleet)

    assert fleet.connection(fleet.inventory.hosts[0]).alive


def test_a_host_that_lost_the_key_we_know_has_changed(make_sshd: Callable[..., Sshd], make_fleet: MakeFleet) -> None:
    """A key of another type does not stand in for the one we know."""
    sshd = make_sshd()
    sshd.host_keys = ["rsa"]
    sshd.start()

    with pytest.raises(HostKeyError, match="HAS CHANGED"):
        connect(make_fleet(sshd, trusted=("ed25519",)))


def test_unreadable_lines_of_known_hosts_are_told_with_an_unknown_host(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """The line may be the one that was meant."""
    fleet = make_fleet(sshd, trusted=())
    fleet.inventory.ssh.known_hosts.write_text(f"[{sshd.address}]:{sshd.port} ssh-ed25519 AAAAbroken\n")

    with pytest.raises(HostKeyError) as caught:
        connect(Fleet(fleet.inventory))

    assert ":1 is not a host key" in caught.value.details


def test_a_known_hosts_file_that_cannot_be_read_is_bad_input(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """A folder in its place is not an empty file."""
    fleet = make_fleet(sshd, trusted=())
    fleet.inventory.ssh.known_hosts.unlink(missing_ok=True)
    fleet.inventory.ssh.known_hosts.mkdir()

    with pytest.raises(InputError, match="cannot read the known hosts"):
        connect(Fleet(fleet.inventory))


def test_the_wrong_key_is_told_with_user_and_key(sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path) -> None:
    """Who was rejected with what, and how to install the key."""
    wrong = keygen(tmp_path / "wrong")

    with pytest.raises(ConnectError) as caught:
        connect(make_fleet(sshd, key=wrong))

    assert f"@127.0.0.1 rejects the key {wrong}" in caught.value.what
    assert public_key(wrong).fingerprint in caught.value.what
    assert "ssh-copy-id" in caught.value.resolution


def test_a_missing_key_is_told_with_the_way_to_make_one(sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path) -> None:
    """Without an agent there is nothing to log in with."""
    with pytest.raises(ConnectError, match=r"there is no private key .*none") as caught:
        connect(make_fleet(sshd, key=tmp_path / "none"))

    assert "ssh-keygen" in caught.value.resolution


def test_a_key_with_a_passphrase_wants_an_agent(sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path) -> None:
    """clusterctl asks for no passphrase."""
    with pytest.raises(ConnectError, match="encrypted with a passphrase") as caught:
        connect(make_fleet(sshd, key=keygen(tmp_path / "locked", passphrase="secret")))

    assert f"ssh-add {tmp_path}/locked" in caught.value.resolution


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\xff\xfe\x00", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_file_that_is_no_key_is_told(sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path, content: bytes) -> None:
    """Its content is not shown."""
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(ConnectError, match="not a private key in a format"):
        connect(make_fleet(sshd, key=tmp_path / "key"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_key_that_cannot_be_read_is_told(sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path) -> None:
    """The file is there and is somebody else's."""
    key = keygen(tmp_path / "key")
    key.chmod(0)

    with pytest.raises(ConnectError, match="cannot read the private key"):
        connect(make_fleet(sshd, key=key))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_every_usual_kind_log_in(
    make_sshd: Callable[..., Sshd], make_fleet: MakeFleet, tmp_path: Path, kind: str
) -> None:
    """ed25519, ECDSA and RSA, the last with SHA-2."""
    key = keygen(tmp_path / "key", kind)
    sshd = make_sshd()
    sshd.authorized = tmp_path / "key.pub"
    sshd.start()

    connect(make_fleet(sshd, key=key))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An SSH agent without keys; the environment that leads to it."""
    if not shutil.which("ssh-agent"):
        pytest.skip("needs ssh-agent: apt-get install openssh-client")
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            assert process.poll() is None
        yield {**os.environ, "SSH_AUTH_SOCK": str(path)}
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("present", [False, True])
def test_the_agent_logs_in_where_the_key_file_cannot(
    sshd: Sshd,
    make_fleet: MakeFleet,
    agent: dict[str, str],
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    present: bool,
) -> None:
    """The key file is missing, or is one that the host does not know."""
    subprocess.run(["ssh-add", "-q", keys / "login"], env=agent, check=True)
    other = keygen(tmp_path / "other") if present else tmp_path / "none"
    fleet = make_fleet(sshd, key=other)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent["SSH_AUTH_SOCK"])

    connect(fleet)


def test_an_agent_without_keys_is_told_with_the_problem_of_the_key_file(
    sshd: Sshd, make_fleet: MakeFleet, agent: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways to log in are named."""
    fleet = make_fleet(sshd, key=tmp_path / "none")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent["SSH_AUTH_SOCK"])

    with pytest.raises(ConnectError, match="rejects the keys of the SSH agent") as caught:
        connect(fleet)

    assert "there is no private key" in caught.value.details
    assert "ssh-keygen" in caught.value.resolution


def test_an_agent_with_too_many_keys_is_told(
    make_sshd: Callable[..., Sshd],
    make_fleet: MakeFleet,
    agent: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server hangs up before the right key had its turn."""
    sshd = make_sshd()
    sshd.options = ["MaxAuthTries 2"]
    sshd.start()
    for number in range(4):
        subprocess.run(["ssh-add", "-q", keygen(tmp_path / f"key{number}")], env=agent, check=True)
    fleet = make_fleet(sshd, key=tmp_path / "none")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent["SSH_AUTH_SOCK"])

    with pytest.raises(ConnectError, match="hung up while") as caught:
        connect(fleet)

    assert "MaxAuthTries" in caught.value.resolution


def test_what_the_host_says_to_a_rejected_user_is_shown(
    make_sshd: Callable[..., Sshd], make_fleet: MakeFleet, tmp_path: Path
) -> None:
    """While it boots, it says there why it lets nobody in."""
    sshd = make_sshd()
    (tmp_path / "banner").write_text("System is booting up.\n")
    sshd.options = [f"Banner {tmp_path}/banner"]
    sshd.start()

    with pytest.raises(ConnectError) as caught:
        connect(make_fleet(sshd, key=keygen(tmp_path / "wrong")))

    assert "System is booting up." in caught.value.details


def test_a_refused_port_is_told() -> None:
    """Nobody listens there."""
    with pytest.raises(ConnectError, match=r"h1: 127.0.0.1 port .* refuses connections") as caught:
        connect(somewhere("127.0.0.1", free_port()))

    assert "systemctl enable --now ssh" in caught.value.resolution


def test_a_name_that_does_not_resolve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address in the inventory is wrong, or the name service is."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectError, match=r"the name h1.example.invalid cannot be resolved") as caught:
        connect(somewhere("h1.example.invalid", 22))

    assert caught.value.details == "Name or service not known"


def test_a_host_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full drops what arrives, as a firewall does."""
    monkeypatch.setattr(wire, "_CONNECT_TIMEOUT", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address, port = listener.getsockname()
        with socket.create_connection((address, port)), pytest.raises(ConnectError, match="does not answer"):
            open_socket("h1", address, port)


@pytest.mark.parametrize(
    ("number", "text"), [(113, "there is no route to"), (101, "there is no route to"), (1, "cannot connect to")]
)
def test_other_network_errors_are_told(monkeypatch: pytest.MonkeyPatch, number: int, text: str) -> None:
    """No route to the host, no network, and whatever else the system says."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(wire.Wire, "connect", fail)
    with pytest.raises(ConnectError, match=text) as caught:
        open_socket("h1", "127.0.0.1", 22)

    assert os.strerror(number) in str(caught.value)


def test_all_addresses_of_a_name_are_tried(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose first address is dead still leads to the second."""
    dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", free_port()))
    good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (sshd.address, sshd.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, good])

    open_socket("h1", "two.example", sshd.port).close()


def test_ipv6_is_a_way_in(make_sshd: Callable[..., Sshd], make_fleet: MakeFleet) -> None:
    """An IPv6 address in the inventory, and [address]:port in known_hosts."""
    try:
        free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    sshd = make_sshd("::1")
    sshd.start()
    fleet = make_fleet(sshd)

    connect(fleet)

    assert f"[::1]:{sshd.port} ssh-ed25519 " in fleet.login.known_hosts.path.read_text()


GREETINGS = {
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "is not an SSH server"),
    "binary": (b"\xff\xfe\x00\x80\n" * 200, "is not an SSH server"),
    "nothing": (b"", "says nothing"),
    "too many": (b"Exceeded MaxStartups\r\n", "takes no new connections from us at the moment"),
    "a broken handshake": (b"SSH-2.0-test\r\n", "closed the connection during the SSH handshake"),
    "an old protocol": (b"SSH-1.5-old\r\n", "shares no algorithm"),
}


@pytest.mark.parametrize("case", GREETINGS)
def test_a_port_that_does_not_speak_ssh_is_told(
    serve: Callable[[bytes], int],
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    """Another service listens there, or something is between us and the host."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(handshake, "TIMEOUT", 1)
    monkeypatch.setattr("clusterctl.remote.fabric_connection.TIMEOUT", 1)
    greeting, text = GREETINGS[case]
    fleet = somewhere("127.0.0.1", serve(greeting), keys / "login", tmp_path / "known")
    before = threading.active_count()  # With the thread that serves.

    with pytest.raises(ConnectError, match=text):
        connect(fleet)

    wait_until(lambda: threading.active_count() <= before)


def test_fetch_host_keys_returns_all_types_ed25519_first(sshd: Sshd) -> None:
    """What ``hosts trust`` shows, without logging in."""
    keys = [public_key(sshd.host_key(kind)) for kind in ("ed25519", "ecdsa", "rsa")]

    assert fetch_host_keys(sshd.way, directly) == keys


def test_fetch_host_keys_leaves_out_what_the_server_does_not_have(make_sshd: Callable[..., Sshd]) -> None:
    """A server may have one key."""
    sshd = make_sshd()
    sshd.host_keys = ["rsa"]
    sshd.start()

    assert fetch_host_keys(sshd.way, directly) == [public_key(sshd.host_key("rsa"))]


def test_fetch_host_keys_tells_who_is_no_ssh_server(serve: Callable[[bytes], int]) -> None:
    """The same sentences as when connecting."""
    with pytest.raises(ConnectError, match="is not an SSH server"):
        fetch_host_keys(Way("h1", "127.0.0.1", serve(b"220 mail ready\r\n" * 200), "root", Path("none")), directly)


def test_a_host_is_known_after_its_keys_were_recorded(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """fetch, record, connect: the way of ``hosts trust``."""
    fleet = make_fleet(sshd, trusted=())
    keys: list[HostKey] = fetch_host_keys(sshd.way, directly)

    fleet.login.known_hosts.record(sshd.address, sshd.port, keys)

    connect(fleet)
