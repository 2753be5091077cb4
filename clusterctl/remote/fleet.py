"""The connections of one run: one for each host, opened once, closed together."""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from clusterctl.errors import ClusterctlError, ConnectError, HostKeyError, SeveralErrors
from clusterctl.model.inventory import Host, Inventory
from clusterctl.remote.bastion import Bastions
from clusterctl.remote.connection import Connection
from clusterctl.remote.login import Login

_AT_ONCE = 100
_TRY_EVERY = 2.0


class Fleet:
    """The hosts of ``inventory`` over SSH. Safe to use from several threads; closes as a context manager."""

    def __init__(self, inventory: Inventory, login: Login | None = None) -> None:
        self.inventory = inventory
        self.login = login or Login(inventory.ssh)
        self.bastions = Bastions(self.login)
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def connection(self, host: Host) -> Connection:
        """The connection to ``host``, open. Raises ConnectError."""
        connection = self._of(host)
        connection.open()
        return connection

    def connect(self, hosts: Iterable[Host]) -> dict[str, Connection]:
        """Open the connections to ``hosts`` at once, and return them by the hosts' names.

        Raises the ConnectError of the host that cannot be reached, SeveralErrors when there are several; all
        others stay open. A problem with our own key is raised once, not once for each host.
        """
        hosts = list(hosts)
        errors: dict[str, ClusterctlError] = {}

        def one(host: Host) -> None:
            try:
                self.connection(host)
            except ClusterctlError as error:
                errors[host.name] = error

        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(hosts)) or 1, thread_name_prefix="connect") as pool:
            list(pool.map(one, hosts))
        # What is wrong on our side is the same for every host.
        found = list({str(errors[host.name]): errors[host.name] for host in hosts if host.name in errors}.values())
        if found:
            raise found[0] if len(found) == 1 else SeveralErrors(found)
        return {host.name: self._of(host) for host in hosts}

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
        """Close all connections."""
        with self._lock:
            connections = list(self._connections.values())
            self._connections.clear()
        for connection in connections:
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
