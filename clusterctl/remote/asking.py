"""Ask a web server once, by a connection of its own: directly, or through a host that reaches it."""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from clusterctl.errors import ClusterctlError, ConnectError

if TYPE_CHECKING:
    import ssl

# Seconds for which an answer is waited for.
PATIENCE = 5.0
# Seconds in which a server shows that it can be reached from here.
_REACHED_IN = 2.0
# A connection that breaks wakes us before it is known to be broken.
_LAST_WORDS = 0.2
_SERVER_ERROR = 500
_ENOUGH = 64 * 1024


class Tunnel(Protocol):
    """A local port that leads, through a host, to the server."""

    port: int
    problem: ClusterctlError | None

    @property
    def alive(self) -> bool:
        """Whether the host is reached; when not, nothing is known of what is behind it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: ``GET path`` of a server. ``context`` is given when it speaks TLS."""

    host: str
    port: int
    path: str = "/"
    context: "ssl.SSLContext | None" = None

    def over(self, plain: socket.socket) -> None:
        """Ask over a connection, and close it. Raises OSError when there is no answer, or that of a broken server."""
        from http.client import HTTPConnection, HTTPException

        with plain:
            plain.settimeout(PATIENCE)
            wire = self.context.wrap_socket(plain, server_hostname=self.host) if self.context else plain
            with wire:
                connection = HTTPConnection(self.host, self.port)
                connection.sock = wire
                try:
                    connection.request("GET", self.path, headers={"Connection": "close", "User-Agent": "clusterctl"})
                    answer = connection.getresponse()
                    answer.read(_ENOUGH)
                except HTTPException as error:
                    raise ConnectionError(str(error) or type(error).__name__) from error
        if answer.status >= _SERVER_ERROR:
            raise ConnectionError(f"{answer.status} {answer.reason}")

    def reached(self) -> bool:
        """Whether the server takes a connection from here."""
        try:
            socket.create_connection((self.host, self.port), _REACHED_IN).close()
        except OSError:
            return False
        return True

    def directly(self) -> bool:
        """Ask from here. Raises OSError when there is no answer."""
        self.over(socket.create_connection((self.host, self.port), PATIENCE))
        return True

    def through(self, tunnels: Sequence[Callable[[], Tunnel]]) -> bool:
        """Ask through the first host that is reached; False when there is none, or it was lost meanwhile."""
        for open_ in tunnels:
            try:
                tunnel = open_()
            except ConnectError:
                continue
            if tunnel.alive:
                try:
                    self.over(socket.create_connection(("127.0.0.1", tunnel.port), PATIENCE))
                except OSError as error:
                    time.sleep(_LAST_WORDS)
                    if not tunnel.alive:
                        return False
                    raise (ConnectionError(tunnel.problem.what) if tunnel.problem else error) from error
                return True
        return False


def page(url: str) -> Page:
    """The page at an address of http or https. Raises ValueError when it is none.

    Any certificate is believed: nothing but the question is sent, and only whether there is an answer is of interest.
    """
    import ssl

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(url)
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Page(parts.hostname, parts.port or (443 if context else 80), path, context)
