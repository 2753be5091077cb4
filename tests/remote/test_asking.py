"""One question to a real server: directly, by TLS, through a tunnel, and every way to get no answer."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from clusterctl.errors import ClusterctlError, ConnectError
from clusterctl.remote.asking import Page, page
from tests.kube.certificates import server_certificate
from tests.web import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """A real one."""
    with serving() as state:
        yield state


@dataclass
class FakeTunnel:
    """Leads to ``port``; its host is lost when somebody looks after ``alive_for`` looks."""

    port: int
    alive_for: int = 100
    problem: ClusterctlError | None = None

    @property
    def alive(self) -> bool:
        """Whether the host is there still."""
        self.alive_for -= 1
        return self.alive_for >= 0


def test_an_answer(server: Server) -> None:
    """Path and query are the address's own."""
    assert page(f"http://127.0.0.1:{server.port}/live?x=1").directly()
    assert server.asked == [f"/live?x=1 of 127.0.0.1:{server.port}"]


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 429])
def test_a_server_that_refuses_answers_as_well(server: Server, status: int) -> None:
    """Whether we may read it is another matter."""
    server.status = status

    assert page(f"http://127.0.0.1:{server.port}").directly()


@pytest.mark.parametrize(
    ("status", "text"), [(500, "500 Internal"), (503, "503 Service Unavailable"), (0, "without response")]
)
def test_a_server_that_fails_is_no_answer(server: Server, status: int, text: str) -> None:
    """Nor is a connection that is closed without a word."""
    server.status = status

    with pytest.raises(OSError, match=text):
        page(f"http://127.0.0.1:{server.port}").directly()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_nobody_there() -> None:
    """The port is closed: that is seen at once, and no answer."""
    closed = page(f"http://127.0.0.1:{free_port()}")

    assert not closed.reached()
    with pytest.raises(ConnectionRefusedError):
        closed.directly()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """How a server speaks whose certificate, for 127.0.0.1, nobody signed; and that certificate."""
    certificate, key = server_certificate("127.0.0.1")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(certificate + key)
    wire = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wire.load_cert_chain(file)
    return wire, certificate.decode()


@contextmanager
def speaking(wire: ssl.SSLContext) -> Iterator[int]:
    """A server for one TLS connection; it gives its port."""

    def serve() -> None:
        plain, _ = listener.accept()
        try:
            with wire.wrap_socket(plain, server_side=True) as connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok")
        except OSError:
            plain.close()  # Whoever asks does not believe us.

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_tls_with_any_certificate(tls: tuple[ssl.SSLContext, str]) -> None:
    """An address that the operator names is not about trust."""
    with speaking(tls[0]) as port:
        assert page(f"https://127.0.0.1:{port}").directly()


def test_tls_with_the_cluster_s_authority(tls: tuple[ssl.SSLContext, str]) -> None:
    """The API endpoint's certificate is checked: another server at its address is no answer."""
    known = ssl.create_default_context(cadata=tls[1])
    with speaking(tls[0]) as port:
        assert Page("127.0.0.1", port, "/version", known).directly()
    with speaking(tls[0]) as port, pytest.raises(ssl.SSLCertVerificationError):
        Page("127.0.0.1", port, "/version", ssl.create_default_context()).directly()


def test_through_the_first_host_that_is_there(server: Server) -> None:
    """Hosts that are lost are passed over, and not even opened once one is found."""
    opened: list[int] = []

    def way(tunnel: FakeTunnel) -> Callable[[], FakeTunnel]:
        def open_() -> FakeTunnel:
            opened.append(tunnel.port)
            return tunnel

        return open_

    ways = [way(FakeTunnel(1, alive_for=0)), way(FakeTunnel(server.port)), way(FakeTunnel(2))]

    assert Page("10.96.0.10", 80).through(ways)
    assert opened == [1, server.port]
    assert server.asked == ["/ of 10.96.0.10"]


def test_a_target_that_fails_behind_a_host_that_is_there() -> None:
    """That is a loss, in the tunnel's words where it has some."""
    port = free_port()
    problem = ConnectError("w1: cannot reach 10.96.0.10 port 80 from there")

    with pytest.raises(ConnectionRefusedError):
        Page("10.96.0.10", 80).through([lambda: FakeTunnel(port)])
    with pytest.raises(ConnectionError, match="w1: cannot reach"):
        Page("10.96.0.10", 80).through([lambda: FakeTunnel(port, problem=problem)])


def test_a_host_that_is_lost_meanwhile_says_nothing() -> None:
    """It restarts, as it is told to: the target may be well. Nor do hosts that are not there at all."""
    port = free_port()

    assert not Page("10.96.0.10", 80).through([lambda: FakeTunnel(port, alive_for=1)])
    assert not Page("10.96.0.10", 80).through([lambda: FakeTunnel(port, alive_for=0)])
    assert not Page("10.96.0.10", 80).through([])


@pytest.mark.parametrize("text", ["", "web", "ftp://x", "https://", "http:///x", "http://x:port", "svc/web/web"])
def test_what_is_no_address(text: str) -> None:
    """A ValueError says so."""
    with pytest.raises(ValueError, match=r".*"):
        page(text)
