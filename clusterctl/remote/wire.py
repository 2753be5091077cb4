"""The connection below SSH: a TCP socket with the options that paramiko does not set, or a way through a bastion."""

import errno
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from clusterctl.errors import ConnectError

if TYPE_CHECKING:
    from paramiko import Channel

_CONNECT_TIMEOUT = 10.0
# How long, in seconds, a host may stay silent although it is asked for a sign of life.
SILENCE = 60.0
ASK_EVERY = 15
# Each read of a session returns, or times out after this many seconds. paramiko itself takes a tenth of a second,
# and wakes all sessions of a large fleet that often. Whoever closes a connection wakes its reader at once.
POLL = 1.0
_GREETING = 200
# Seconds for a ProxyCommand to end, and how much of what it says is told, in bytes.
_ENDS = 2.0
_SAID = 2000
_CLOSING = threading.Lock()


class _Watched:
    """Notices a host that has died, and remembers how it greeted."""

    _silent_polls = 0
    # The first bytes that the other side sent, for the error when it is no SSH server.
    greeting = b""
    # Where it leads, for errors.
    place = ""

    def _heard(self, read: Callable[[], bytes]) -> bytes:
        """What ``read`` returns. Raises ConnectionAbortedError when the host has been silent for too long.

        Silence is counted in reads that timed out, so that a process that was stopped for a while and goes on
        does not take its own pause for the host's.
        """
        try:
            data = read()
        except TimeoutError:
            self._silent_polls += 1
            if self._silent_polls * POLL > SILENCE:
                raise ConnectionAbortedError(
                    errno.ECONNABORTED, f"the host has not answered for {SILENCE:.0f} s"
                ) from None
            raise
        self._silent_polls = 0
        if len(self.greeting) < _GREETING:
            self.greeting += data[:_GREETING]
        return data


class Passage(_Watched):
    """A channel of a bastion's session that leads to a host behind it; it is read and written like a socket."""

    def __init__(self, channel: "Channel", place: str) -> None:
        self._channel = channel
        self.place = place

    def recv(self, size: int) -> bytes:
        """Read as a socket does. Raises ConnectionAbortedError when the host has been silent for too long."""
        return self._heard(lambda: self._channel.recv(size))

    def send(self, data: bytes) -> int:
        """Send some of ``data``, and return how much."""
        return self._channel.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """How long to wait for the other side."""
        self._channel.settimeout(seconds)

    @property
    def _closed(self) -> bool:
        """What paramiko asks a socket for."""
        return self._channel.closed

    def close(self) -> None:
        """Close the channel; the session with the bastion stays."""
        with suppress(OSError, EOFError):
            self._channel.close()


class Wire(_Watched, socket.socket):
    """A TCP socket that answers at once and notices a host that has died.

    Without TCP_NODELAY and TCP_QUICKACK each exchange of SSH messages costs 40 ms. Linux turns quick
    acknowledgements off by itself, so every read turns them on again.
    """

    def tune(self) -> None:
        """Set the options; call it once, after connecting."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            milliseconds = int(SILENCE * 1000)
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ASK_EVERY)
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_EVERY)
            self._acknowledge_quickly()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read as a socket does. Raises ConnectionAbortedError when the host has been silent for too long."""
        data = self._heard(lambda: super(Wire, self).recv(bufsize, flags))
        if sys.platform == "linux":
            self._acknowledge_quickly()
        return data

    def close(self) -> None:
        """Close the connection and wake the thread that reads from it."""
        with suppress(OSError):  # It may not be connected any more.
            self.shutdown(socket.SHUT_RDWR)
        super().close()

    def _acknowledge_quickly(self) -> None:
        with suppress(OSError):  # The connection may be broken; the next read tells.
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Piped(Wire):
    """The standard input and output of a command that leads to a host. It ends with the connection."""

    process: "subprocess.Popen[bytes]"
    complaints: IO[bytes]
    _said = ""

    def close(self) -> None:
        """Close the connection, and end the command. paramiko closes it as well, in a thread of its own."""
        super().close()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDS)
        self.process.kill()
        self.process.wait()
        with _CLOSING:
            self._read()
            self.complaints.close()

    @property
    def said(self) -> str:
        """What the command said on standard error."""
        with _CLOSING:
            self._read()
            return self._said

    def _read(self) -> None:
        if not self.complaints.closed:
            self.complaints.seek(0)
            self._said = self.complaints.read(_SAID).decode(errors="replace").strip()


def open_command(command: str) -> Piped:
    """Start a ProxyCommand, as OpenSSH does: by a shell whose place it takes. That it fails is seen later."""
    ours, theirs = socket.socketpair()
    wire = Piped(fileno=ours.detach())
    wire.place = f"ProxyCommand {command}"
    wire.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the connection fails.
    shell = ["/bin/sh", "-c", f"exec {command}"]
    with theirs:
        end = theirs.fileno()
        # Ctrl-C is for us: the command lives as long as the connection.
        wire.process = subprocess.Popen(shell, stdin=end, stdout=end, stderr=wire.complaints, start_new_session=True)
    return wire


def open_socket(host: str, address: str, port: int) -> Wire:
    """Connect to ``address`` and ``port``, trying each of a name's addresses for at most 10 seconds.

    ``host`` is the name in errors. Raises ConnectError saying what is wrong and where to look.
    """
    try:
        # As bytes a name that needs no coding is not looked at by one, whose tables would have to be loaded.
        name = address.encode() if address.isascii() else address
        targets = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectError(
            f"{host}: the name {address} cannot be resolved",
            details=getattr(error, "strerror", None) or str(error),
            resolution=f"correct the address of {host} in the inventory, or try: getent hosts {address}",
        ) from error
    problem: OSError | None = None
    for family, kind, protocol, _, target in targets:
        wire = None
        try:
            wire = Wire(family, kind, protocol)
            wire.settimeout(_CONNECT_TIMEOUT)
            wire.connect(target)
            wire.tune()
            wire.place = f"{address} port {port}"
        except OSError as error:
            if wire:
                wire.close()
            problem = problem or error
        else:
            return wire
    raise _unreachable(host, address, port, problem) from problem


def _unreachable(host: str, address: str, port: int, problem: OSError | None) -> ConnectError:
    place = f"{address} port {port}"
    if isinstance(problem, ConnectionRefusedError):
        return ConnectError(
            f"{host}: {place} refuses connections: no SSH server listens there",
            resolution=f"start the SSH server on {host} (sudo systemctl enable --now ssh), or correct its port",
        )
    if isinstance(problem, TimeoutError):
        return ConnectError(
            f"{host}: {place} does not answer within {_CONNECT_TIMEOUT:.0f} s",
            resolution=f"check that {host} is switched on and that no firewall drops the way there: ping {address}",
        )
    if problem and problem.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return ConnectError(
            f"{host}: there is no route to {place}",
            details=str(problem.strerror),
            resolution=f"check the network of this machine and the address of {host}: ip route get {address}",
        )
    return ConnectError(
        f"{host}: cannot connect to {place}: {problem.strerror or problem if problem else 'no address'}",
        resolution=f"try: ssh -v -p {port} {address}",
    )
