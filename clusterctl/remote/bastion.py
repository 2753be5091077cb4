"""The TCP connection below each session: direct, or through a bastion, which all hosts behind it share."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, ConnectError
from clusterctl.remote.login import Login
from clusterctl.remote.way import Way
from clusterctl.remote.wire import Passage, Wire, open_command, open_socket

if TYPE_CHECKING:
    from clusterctl.remote.fabric_connection import FabricConnection


@dataclass(slots=True)
class _Door:
    """The session with one bastion, and how often it was tried to open one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: "FabricConnection | None" = None
    problem: ClusterctlError | None = None
    tries: int = 0


class Bastions:
    """Opens the ways of a run. A bastion is logged in to once, and again when it was lost. Safe to use from threads."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._lock = threading.Lock()
        self._doors: dict[Way, _Door] = {}

    def wire(self, way: Way) -> Wire | Passage:
        """Connect to the server of ``way``. Raises ConnectError, or InputError for our own files."""
        if way.command:
            return open_command(way.command)
        if way.via is None:
            return open_socket(way.name, way.address, way.port)
        from paramiko import ChannelException, SSHException

        session = self._session(way.via)
        try:
            channel = session.transport.open_channel("direct-tcpip", (way.address, way.port), ("127.0.0.1", 0))
        except ChannelException as error:
            raise _no_passage(way, way.via, error) from error
        except (SSHException, EOFError, OSError) as error:
            raise ConnectError(
                f"{way.name}: the connection to the bastion {way.via.name} broke",
                details=str(error),
                resolution=f"check that {way.via.name} is up; then run the same command again",
            ) from error
        return Passage(channel, f"{way.address} port {way.port}")

    def close(self) -> None:
        """Close the sessions with all bastions; what goes through them ends."""
        with self._lock:
            doors = list(self._doors.values())
            self._doors.clear()
        for door in reversed(doors):
            if door.session is not None:
                door.session.close()

    def _session(self, way: Way) -> "FabricConnection":
        """The session with the bastion of ``way``. Those who wait while it cannot be opened get the same error."""
        with self._lock:
            door = self._doors.setdefault(way, _Door())
        tries = door.tries
        with door.lock:
            if door.session is not None and door.session.alive:
                return door.session
            if door.problem is not None and door.tries != tries:
                raise door.problem
            door.tries += 1
            from clusterctl.remote.fabric_connection import FabricConnection

            try:
                session = FabricConnection(way, self._login, self.wire)
                session.open()
                door.session, door.problem = session, None
            except ClusterctlError as error:
                door.problem = error
                raise
            return door.session


def _no_passage(way: Way, bastion: Way, error: Exception) -> ConnectError:
    place = f"{way.address} port {way.port}"
    if getattr(error, "code", 0) == 1:
        return ConnectError(
            f"{way.name}: the bastion {bastion.name} forbids forwarding to {place}",
            details=str(getattr(error, "text", "")),
            resolution=f"on {bastion.name}, look at AllowTcpForwarding and PermitOpen in sshd_config, and reload ssh",
        )
    return ConnectError(
        f"{way.name}: the bastion {bastion.name} cannot connect to {place}",
        details=str(getattr(error, "text", "")),
        resolution=f"check that {way.name} is up and its address right; try on {bastion.name}: "
        f"ssh -v -p {way.port} {way.address}",
    )
