"""Fabric's connection to one SSH server, with our socket, our host keys and our login.

What differs from Fabric's and paramiko's defaults, on purpose: an unknown host key is refused, the agent and ``~/.ssh``
are asked as the inventory says, configuration files of Fabric's are read only for whoever brings them, and ``run`` does
not read the operator's own standard input. (docs/adr/0004-transport.md)
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

# Whole, before Fabric asks for parts of it: another thread may have imported half of it by now.
from paramiko import SSHConfig, SSHException

# isort: split
import fabric

from clusterctl.errors import ConnectError
from clusterctl.remote.handshake import (
    LOGIN_TIMEOUT,
    TIMEOUT,
    abandon,
    host_key,
    keep_alive,
    new_transport,
    no_handshake,
)
from clusterctl.remote.known_hosts import Gate
from clusterctl.remote.login import Login
from clusterctl.remote.way import Way
from clusterctl.remote.wire import Passage, Wire

if TYPE_CHECKING:
    from paramiko import PKey, Transport

_BANNER_LINES = 5


@cache
def default_config() -> fabric.Config:
    """Fabric's settings for all connections, without any file: one object, as nothing changes it."""
    return fabric.Config(overrides={"run": {"in_stream": False}}, lazy=True, ssh_config=SSHConfig())


class FabricConnection(fabric.Connection):  # type: ignore[misc]  # Fabric has no types.
    """A connection to the server of ``way``, which opens when it is first used; ``connect`` opens what lies below it.

    All that Fabric's connections can do, this one can. ``open`` raises ConnectError, or InputError for our files.
    ``config`` are Fabric's settings, such as those of somebody's own fabfile.
    """

    inline_ssh_env: bool  # Fabric would write it into the settings, which all connections share.

    def __init__(
        self, way: Way, login: Login, connect: Callable[[Way], Wire | Passage], config: fabric.Config | None = None
    ) -> None:
        super().__init__(
            way.address, way.user, way.port, config=config or default_config(), gateway=False, forward_agent=False
        )
        # What Fabric does not know has to be set past its settings, which answer to every other name.
        self._set(original_host=way.name, _way=way, _login=login, _connect=connect)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute of the class as usual; every other name is one of Fabric's settings.

        Fabric does the same, and lists all attributes each time.
        """
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def alive(self) -> bool:
        """Whether the connection, as far as we know, works."""
        return bool(self.is_connected)

    def open(self) -> None:
        """Connect, check the host key and log in, unless that is so already."""
        if self.alive:
            return
        wire = self._connect(self._way)
        transports: list[Transport] = []
        try:
            self._log_in(wire, transports)
        except BaseException:
            self.client.close()  # And its way to the agent.
            abandon(transports[0] if transports else None, wire)
            raise
        self._set(transport=transports[0])
        keep_alive(transports[0])

    def close(self) -> None:
        """End the session, the files of its SFTP and its way to the agent included."""
        super().close()
        self.client.close()

    def _log_in(self, wire: Wire | Passage, transports: "list[Transport]") -> None:
        way, login = self._way, self._login
        hosts = login.known_hosts
        known = hosts.lookup(way.address, way.port)
        key = login.key(way.key)
        gate = Gate(way.name, wire.place, hosts, known, lambda: host_key(transports[0]))

        def make(sock: Wire | Passage, **_: object) -> "Transport":
            transports.append(new_transport(sock, known))
            return transports[0]

        self.client.set_missing_host_key_policy(gate)
        try:
            self.client.connect(
                way.address,
                port=way.port,
                username=way.user,
                sock=wire,
                transport_factory=make,
                pkey=key,
                allow_agent=login.agent,
                look_for_keys=False,
                banner_timeout=TIMEOUT,
                auth_timeout=LOGIN_TIMEOUT,
                channel_timeout=LOGIN_TIMEOUT,
            )
        except (SSHException, EOFError, OSError) as error:
            if gate.passed:
                raise self._rejected(key, error, transports[0].get_banner()) from error
            raise no_handshake(way.name, wire, error) from error

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


_OWN = frozenset([*dir(FabricConnection), *FabricConnection.__annotations__])
