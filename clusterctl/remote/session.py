"""A new SSH session: check the host key, log in; and what each failure means.

What differs from paramiko's defaults, on purpose: host keys are checked, we read configuration files ourselves, the
socket is ours.
"""

from typing import TYPE_CHECKING

from clusterctl.errors import ConnectError, HostKeyError
from clusterctl.remote.handshake import (
    LOGIN_TIMEOUT,
    TIMEOUT,
    abandon,
    host_key,
    keep_alive,
    new_transport,
    no_handshake,
)
from clusterctl.remote.known_hosts import HostKey, Known, KnownHosts
from clusterctl.remote.login import Login
from clusterctl.remote.way import Way
from clusterctl.remote.wire import Passage, Wire

if TYPE_CHECKING:
    from paramiko import PKey, Transport

_BANNER_LINES = 5


class Session:
    """One SSH session over ``wire``, the connection to the server of ``way``, which it closes when it fails.

    ``transport`` opens channels. Raises ConnectError, or InputError for our files.
    """

    def __init__(self, way: Way, login: Login, wire: Wire | Passage) -> None:
        from paramiko import SSHClient

        self._way = way
        self._login = login
        self._client = SSHClient()
        transports: list[Transport] = []
        try:
            self._log_in(wire, transports)
        except BaseException:
            self._client.close()  # And its way to the agent.
            abandon(transports[0] if transports else None, wire)
            raise
        self.transport: Transport = transports[0]
        keep_alive(self.transport)

    @property
    def alive(self) -> bool:
        """Whether the session, as far as we know, works."""
        return self.transport.is_active()

    def close(self) -> None:
        """End the session."""
        self._client.close()

    def _log_in(self, wire: Wire | Passage, transports: "list[Transport]") -> None:
        from paramiko import SSHException

        hosts = self._login.known_hosts
        known = hosts.lookup(self._way.address, self._way.port)
        key = self._login.key(self._way.key)
        gate = _Gate(self._way.name, wire.place, hosts, known, transports)

        def make(sock: Wire | Passage, **_: object) -> "Transport":
            transports.append(new_transport(sock, known))
            return transports[0]

        self._client.set_missing_host_key_policy(gate)  # type: ignore[arg-type]  # It has the one method.
        try:
            self._client.connect(
                self._way.address,
                port=self._way.port,
                username=self._way.user,
                sock=wire,  # type: ignore[arg-type]  # It reads and writes like a socket.
                transport_factory=make,  # type: ignore[arg-type]  # What it is given is the wire.
                pkey=key,
                allow_agent=self._login.agent,
                look_for_keys=False,
                banner_timeout=TIMEOUT,
                auth_timeout=LOGIN_TIMEOUT,
                channel_timeout=LOGIN_TIMEOUT,
            )
        except (SSHException, EOFError, OSError) as error:
            if gate.passed:
                raise self._rejected(key, error, transports[0].get_banner()) from error
            raise no_handshake(self._way.name, wire, error) from error

    def _rejected(self, key: "PKey | None", error: Exception, banner: bytes | None) -> ConnectError:
        """The error of a host that does not let us in. Its banner may say why; often it greets everybody."""
        way, name = self._way, self._way.name
        problem = self._login.key_problem(way.key)
        said = (banner or b"").decode(errors="replace").strip().splitlines()[-_BANNER_LINES:]
        details = "\n".join([str(error), *said, *([problem.what] if problem else [])])
        who = str(way)
        if "saw EOF" in str(error) or "No existing session" in str(error):
            return ConnectError(
                f"{name}: the SSH server hung up while {who} was logging in",
                details=details,
                resolution=("the agent may hold more keys than MaxAuthTries allows: ssh-add -l; " * self._login.agent)
                + f"look why on {name}: journalctl -u ssh",
            )
        offered = [f"the key {way.key} ({key.fingerprint})"] if key else []
        offered += ["the keys of the SSH agent"] if self._login.agent else []
        return ConnectError(
            f"{name}: {who} rejects {' and '.join(offered)}",
            details=details,
            resolution=problem.resolution
            if problem
            else f"check the user (ssh.user), or install the key: ssh-copy-id -i {way.key} -p {way.port} {who}",
        )


class _Gate:
    """Lets in a server whose key we know. paramiko asks it about every key, since we give it no known hosts."""

    def __init__(self, host: str, place: str, hosts: KnownHosts, known: Known, transports: "list[Transport]") -> None:
        self.passed = False
        self._host = host
        self._place = place
        self._hosts = hosts
        self._known = known
        self._transports = transports

    def missing_host_key(self, *_: object) -> None:
        """Raise HostKeyError unless the key that the server has proved to hold is one that we know."""
        key = host_key(self._transports[0])
        match self._known.judge(key):
            case "known":
                self.passed = True
            case "unknown":
                raise self._unknown(key)
            case "revoked":
                raise self._revoked(key)
            case "changed":
                raise self._changed(key)

    def _unknown(self, key: HostKey) -> HostKeyError:
        return HostKeyError(
            f"{self._host}: the host key of {self._place} is not known",
            details="\n".join([f"it shows {key}", *self._hosts.problems]),
            resolution=f"clusterctl hosts trust {self._host}",
        )

    def _revoked(self, key: HostKey) -> HostKeyError:
        return HostKeyError(
            f"{self._host}: {self._place} shows a host key that is revoked: somebody may be intercepting",
            details=f"it shows {key}, which {self._hosts.path} marks as @revoked",
            resolution=f"do not connect; find out on the console of {self._host} who holds that key",
        )

    def _changed(self, key: HostKey) -> HostKeyError:
        return HostKeyError(
            f"{self._host}: THE HOST KEY OF {self._place} HAS CHANGED: the host was installed again, or somebody is "
            "intercepting the connection",
            details="\n".join([f"it shows {key}", *(f"{self._hosts.path} has {other}" for other in self._known.keys)]),
            resolution=f"compare on the console of {self._host}: for f in /etc/ssh/ssh_host_*_key.pub; do "
            f"ssh-keygen -lf $f; done; only if it is the same key: clusterctl hosts trust --replace {self._host}",
        )
