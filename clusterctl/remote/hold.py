"""A lock on a host that lives as long as our connection: no time limit, and nothing to clean up after kill -9."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl import render
from clusterctl.errors import Refused
from clusterctl.remote.connection import Connection
from clusterctl.remote.exchange import Result

if TYPE_CHECKING:
    from paramiko import Channel

_YOURS = "@@ yours"
_HELD = "@@ held"
_CHUNK = 4096
# Seconds to wait for the host's answer, which takes one round trip.
_ANSWER = 60.0


class Hold:
    """The operator's lock on one host, ours until ``close`` or until the connection breaks."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel

    @property
    def alive(self) -> bool:
        """Whether, as far as we know, the lock is still ours."""
        transport = self._channel.get_transport()
        return transport.is_active() and not (self._channel.closed or self._channel.eof_received)

    def close(self) -> None:
        """Give the lock back."""
        with suppress(OSError, EOFError):
            self._channel.close()


def hold(connection: Connection, *, run: str, operator: str, command: str) -> Hold:
    """Take the operator's lock of the cluster on one of its control planes.

    ``run`` identifies this run: a broken connection of the same run makes room. Raises Refused when somebody else
    holds the lock, with who, since when and for which command.
    """
    script = render.reader("operator", run=run, operator=operator, command=command)
    channel = connection.start("/bin/bash -s", script.text.encode())
    answer, errors, complete = _answer(channel)
    if answer.splitlines()[-1:] == [_YOURS]:
        return Hold(channel)
    status = channel.exit_status if complete and channel.status_event.wait(_ANSWER) else None
    channel.close()
    said = connection.output("taking the operator's lock", Result(status, answer, errors))
    who = said.partition(_HELD)[2].strip() or "somebody"
    raise Refused(
        f"another operator works on this cluster: {who}",
        resolution=f"wait until that run ends; the lock on {connection.host.name} ends with its connection",
    )


def _answer(channel: "Channel") -> tuple[str, str, bool]:
    """What the script says until it has the lock or ends, and whether it came to either."""
    out, errors = bytearray(), bytearray()
    until = time.monotonic() + _ANSWER
    channel.settimeout(0.2)
    while time.monotonic() < until:
        while channel.recv_stderr_ready():
            errors += channel.recv_stderr(_CHUNK)
        try:
            chunk = channel.recv(_CHUNK)
        except TimeoutError:
            continue
        out += chunk
        if not chunk or out.decode(errors="replace").splitlines()[-1:] == [_YOURS]:
            return out.decode(errors="replace"), errors.decode(errors="replace"), True
    return out.decode(errors="replace"), errors.decode(errors="replace"), False
