"""A local port that leads to a port of a host."""

import hashlib
import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clusterctl.errors import ConnectError
from clusterctl.remote.connection import Connection
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.tunnel import Tunnel
from tests.remote.conftest import Sshd, free_port, wait_until

MakeFleet = Callable[..., Fleet]
BODY = os.urandom(8_000_000)


class Handler(BaseHTTPRequestHandler):
    """Answers GET with a large body or the path, and PUT with the digest of what came."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """A large body for /large, the path for everything else."""
        self._answer(BODY if self.path == "/large" else self.path.encode())

    def do_PUT(self) -> None:
        """The digest of the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(hashlib.sha256(body).hexdigest().encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[int]:
    """An HTTP server; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(sshd: Sshd, make_fleet: MakeFleet) -> Connection:
    """A connection to a running server."""
    fleet = make_fleet(sshd)
    return fleet.connection(fleet.inventory.hosts[0])


def request(port: int, method: str, path: str, body: bytes | None = None) -> bytes:
    """One request on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request(method, path, body)
        return client.getresponse().read()
    finally:
        client.close()


def test_requests_go_through_and_large_bodies_arrive_whole(connection: Connection, server: int) -> None:
    """In both directions."""
    with Tunnel(connection, "127.0.0.1", server) as tunnel:
        assert request(tunnel.port, "GET", "/version") == b"/version"
        assert request(tunnel.port, "GET", "/large") == BODY
        assert request(tunnel.port, "PUT", "/", BODY).decode() == hashlib.sha256(BODY).hexdigest()
        assert tunnel.problem is None


def test_requests_side_by_side(connection: Connection, server: int, sshd: Sshd) -> None:
    """Twenty at once, over one SSH connection; each gets its own answer."""
    with Tunnel(connection, "127.0.0.1", server) as tunnel, ThreadPoolExecutor(20) as pool:
        paths = [f"/{number}" for number in range(100)]
        answers = list(pool.map(lambda path: request(tunnel.port, "GET", path), paths))

    assert answers == [path.encode() for path in paths]
    assert len(sshd.sessions()) == 1


def test_several_requests_on_one_connection(connection: Connection, server: int) -> None:
    """As the API's client does."""
    with Tunnel(connection, "127.0.0.1", server) as tunnel:
        client = http.client.HTTPConnection("127.0.0.1", tunnel.port, timeout=30)
        for number in range(10):
            client.request("GET", f"/{number}")
            assert client.getresponse().read() == f"/{number}".encode()
        client.close()


def test_half_closed_connections_still_answer(connection: Connection) -> None:
    """The end of one direction is passed on, and the other direction goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            caller, _ = listener.accept()
            with caller:
                heard = b""
                while data := caller.recv(1000):
                    heard += data
                caller.sendall(heard[::-1])

        thread = threading.Thread(target=serve)
        thread.start()
        with Tunnel(connection, *listener.getsockname()) as tunnel:
            with socket.create_connection(("127.0.0.1", tunnel.port), timeout=30) as caller:
                caller.sendall(b"abc")
                caller.shutdown(socket.SHUT_WR)
                assert caller.recv(1000) == b"cba"
                assert caller.recv(1000) == b""
            thread.join()


def test_closing_ends_idle_connections_and_threads(connection: Connection, server: int) -> None:
    """A client that keeps its connection open does not hold the tunnel."""
    before = {thread for thread in threading.enumerate() if thread.name.startswith("tunnel:")}
    tunnel = Tunnel(connection, "127.0.0.1", server)
    client = http.client.HTTPConnection("127.0.0.1", tunnel.port, timeout=30)
    client.request("GET", "/")
    client.getresponse().read()

    tunnel.close()

    assert {thread for thread in threading.enumerate() if thread.name.startswith("tunnel:")} == before
    assert client.sock is not None
    assert client.sock.recv(1) == b""
    client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", tunnel.port))


def test_closing_twice_is_closing_once(connection: Connection, server: int) -> None:
    """Whoever closes last does no harm."""
    tunnel = Tunnel(connection, "127.0.0.1", server)

    tunnel.close()
    tunnel.close()


def test_a_target_that_does_not_answer_is_told(connection: Connection) -> None:
    """The caller's connection ends, and the tunnel knows why."""
    with Tunnel(connection, "127.0.0.1", free_port()) as tunnel:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            request(tunnel.port, "GET", "/")

        assert isinstance(tunnel.problem, ConnectError)
        assert "h1: cannot reach 127.0.0.1 port" in tunnel.problem.what


def test_a_server_that_forbids_forwarding_is_told(
    make_sshd: Callable[..., Sshd], make_fleet: MakeFleet, server: int
) -> None:
    """With the option to change."""
    sshd = make_sshd()
    sshd.options = ["AllowTcpForwarding no"]
    sshd.start()
    fleet = make_fleet(sshd)

    with pytest.raises(ConnectError, match="forbids forwarding") as caught:
        fleet.connection(fleet.inventory.hosts[0]).forward("127.0.0.1", server)

    assert "AllowTcpForwarding yes" in caught.value.resolution


def test_a_broken_connection_ends_the_requests_and_the_next_one_opens_it_again(
    connection: Connection, server: int, sshd: Sshd
) -> None:
    """A tunnel outlives the restart of its host's SSH server."""
    with Tunnel(connection, "127.0.0.1", server) as tunnel:
        client = http.client.HTTPConnection("127.0.0.1", tunnel.port, timeout=30)
        client.request("GET", "/")
        client.getresponse().read()

        sshd.cut()
        assert client.sock is not None
        assert client.sock.recv(1) == b""
        client.close()
        wait_until(lambda: not connection.alive)

        assert request(tunnel.port, "GET", "/again") == b"/again"
