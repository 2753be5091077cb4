"""The connections of one run: one for each host, opened once, closed together."""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial
from itertools import islice
from types import TracebackType

from clusterctl.errors import ConnectError, HostKeyError
from clusterctl.model.inventory import Host, Inventory
from clusterctl.remote.ahead import begin
from clusterctl.remote.bastion import Bastions
from clusterctl.remote.connection import Connection
from clusterctl.remote.login import Login

_AT_ONCE = 64
_TRY_EVERY = 2.0


class Fleet:
    """The hosts of ``inventory`` over SSH. Safe to use from several threads; closes as a context manager."""

    def __init__(self, inventory: Inventory, login: Login | None = None) -> None:
        self.inventory = inventory
        self.login = login or Login(inventory.ssh)
        self.bastions = Bastions(self.login)
        self._connections: dict[str, Connection] = {}
        self._begun: dict[str, Future[Connection]] = {}
        self._lock = threading.Lock()

    def begin(self, hosts: Iterable[Host]) -> dict[str, Future[Connection]]:
        """Begin to connect to the first 64 of ``hosts``, and return what will come of it by their names.

        Whoever asks for such a connection first waits for it, and gets its error.
        """
        first = islice(hosts, _AT_ONCE)
        begun = {host.name: begin(partial(self._open, host), f"connect {host.name}") for host in first}
        self._begun |= begun
        # All these threads need it next. Their import would compete with those that the caller has in the meantime.
        from clusterctl.remote import fabric_connection  # noqa: F401

        return begun

    def connection(self, host: Host) -> Connection:
        """The connection to ``host``, open. Raises ConnectError."""
        with self._lock:
            begun = self._begun.pop(host.name, None)
        return begun.result() if begun else self._open(host)

    def _open(self, host: Host) -> Connection:
        connection = self._of(host)
        connection.open()
        return connection

    def reconnect(self, host: Host, deadline: float) -> Connection:
        """Drop the connection to ``host`` and open a new one, trying every 2 seconds for ``deadline`` seconds.

        Raises ConnectError with the last reason; at once when the host shows a key that we do not know.
        """
        connection = self._of(host)
        connection.close()
        until = time.monotonic() + deadline
        while True:
            try:
                connection.open()
            except HostKeyError:
                raise
            except ConnectError as error:
                if time.monotonic() + _TRY_EVERY > until:
                    raise ConnectError(
                        f"{error.what} (tried for {deadline:.0f} s)",
                        details=error.details,
                        resolution=error.resolution,
                    ) from error
                time.sleep(_TRY_EVERY)
            else:
                return connection

    def close(self) -> None:
        """Close all connections; those that are being opened, as soon as they are open."""
        with self._lock:
            begun, connections = self._begun, self._connections
            self._begun, self._connections = {}, {}
        for attempt in begun.values():
            attempt.add_done_callback(_close)
        for name, connection in connections.items():
            if name not in begun:
                connection.close()
        self.bastions.close()

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _of(self, host: Host) -> Connection:
        with self._lock:
            return self._connections.setdefault(host.name, Connection(host, self.login, self.bastions))


def _close(attempt: Future[Connection]) -> None:
    if attempt.exception() is None:
        attempt.result().close()
