"""A real SSH server for the tests: our own process, keys, configuration and port."""

import base64
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from clusterctl.model.inventory import Cluster, Host, Inventory, Ssh
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.known_hosts import HostKey
from clusterctl.remote.way import Way
from clusterctl.remote.wire import Wire, open_socket

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
KEY_TYPES = ("ed25519", "ecdsa", "rsa")


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair at ``path``."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "test", "-f", path], check=True)
    return path


def public_key(path: Path) -> HostKey:
    """The public half of the pair at ``path``."""
    kind, encoded = path.with_name(path.name + ".pub").read_text().split()[:2]
    return HostKey(kind, base64.b64decode(encoded))


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Sshd:
    """One SSH server on a loopback address; ``home`` is the home directory of who logs in."""

    def __init__(self, folder: Path, keys: Path, address: str = "127.0.0.1") -> None:
        self.folder = folder
        self.keys = keys
        self.address = address
        self.port = free_port(address)
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.host_keys = list(KEY_TYPES)
        self.authorized = keys / "login.pub"
        self.options: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def way(self) -> Way:
        """The direct way there."""
        return Way("h1", self.address, self.port, getpass.getuser(), self.keys / "login")

    def host_key(self, kind: str) -> Path:
        """The file of a host key."""
        return self.keys / f"host_{kind}"

    def start(self) -> None:
        """Start, and return when it answers."""
        config = self.folder / "sshd_config"
        lines = [
            f"ListenAddress {self.address}",
            f"Port {self.port}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin yes",
            f"AuthorizedKeysFile {self.authorized}",
            f"SetEnv HOME={self.home} PATH={self.bin}:{os.environ['PATH']}",
            *(f"HostKey {self.host_key(kind)}" for kind in self.host_keys),
            *self.options,
        ]
        config.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # Where sshd imprisons itself.
        assert SSHD
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        """Stop the server and all its connections."""
        if self._process:
            children = self.sessions()
            self._process.terminate()
            self._process.wait(10)
            self._process = None
            _kill(children)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def cut(self) -> None:
        """Break every connection, as a crash of the server would; what runs there goes on."""
        _kill(self.sessions())

    def sessions(self) -> list[int]:
        """The processes that serve one connection each."""
        assert self._process
        return _children(self._process.pid)

    def freeze(self, stop: bool) -> None:
        """Make the connections' processes neither read nor write, or go on."""
        for child in self.sessions():
            os.kill(child, signal.SIGSTOP if stop else signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection((self.address, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def directly(way: Way) -> Wire:
    """Connect without a bastion."""
    return open_socket(way.name, way.address, way.port)


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _kill(processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the server's keys and ours, made once."""
    if not SSHD or not shutil.which("ssh-keygen"):
        pytest.skip("needs OpenSSH's sshd and ssh-keygen: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("keys")
    for kind in KEY_TYPES:
        keygen(folder / f"host_{kind}", kind)
    keygen(folder / "login")
    return folder


@pytest.fixture
def make_sshd(tmp_path: Path, keys: Path) -> Iterator[Callable[..., Sshd]]:
    """Make servers that stop after the test; they are not started yet."""
    servers: list[Sshd] = []

    def make(address: str = "127.0.0.1") -> Sshd:
        servers.append(Sshd(tmp_path / f"sshd{len(servers)}", keys, address))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def sshd(make_sshd: Callable[..., Sshd]) -> Sshd:
    """A server that runs."""
    server = make_sshd()
    server.start()
    return server


@pytest.fixture
def make_fleet(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Fleet]]:
    """Make fleets of the hosts h1, h2… that close after the test; all servers are trusted unless asked otherwise."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    fleets: list[Fleet] = []

    def make(*servers: Sshd, trusted: tuple[str, ...] = KEY_TYPES, user: str = "", key: Path | None = None) -> Fleet:
        path = tmp_path / f"known_hosts{len(fleets)}"
        inventory = Inventory(
            cluster=Cluster(name="test", kubernetes="1.36.3", endpoint="test:6443"),
            ssh=Ssh(
                user=user or getpass.getuser(),
                key=key or keys / "login",
                known_hosts=path,
                config=Path("/dev/null"),
            ),
            hosts=tuple(
                Host(name=f"h{number}", address=server.address, port=server.port, role="control-plane")
                for number, server in enumerate(servers, 1)
            ),
        )
        fleet = Fleet(inventory)
        for server in servers:
            host_keys = [public_key(server.host_key(kind)) for kind in trusted]
            fleet.login.known_hosts.record(server.address, server.port, host_keys)
        fleets.append(fleet)
        return fleet

    yield make
    for fleet in fleets:
        fleet.close()
