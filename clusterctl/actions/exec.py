"""A command of the operator's own, on many hosts at once."""

import codecs
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterctl.engine.playbook import named
from clusterctl.errors import ClusterctlError, CommandFailed, InputError
from clusterctl.model.inventory import Host, Inventory
from clusterctl.model.secret import redact
from clusterctl.session.audit import open_trail
from clusterctl.session.session import Session

# Bytes of a host's output: who writes more does not come to an end.
LIMIT = 10 << 20
# What an unfinished line may have before it is told as it is, and what the audit trail keeps of each stream.
_LINE = 16 << 10
_KEPT = 2000

Stream = Literal["stdout", "stderr"]
_STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
Tell = Callable[[str, Stream, str], None]
"""Is told of each line as it comes: the host, the stream, and the line; from several threads."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How the command ended on one host. ``status`` is None when there is none; ``error`` says then why."""

    host: str
    status: int | None
    stdout: str
    stderr: str
    error: ClusterctlError | None = None

    def as_json(self) -> dict[str, object]:
        """For programs."""
        values: dict[str, object] = {
            "host": self.host,
            "status": self.status,
            "stdout": self.stdout,
            "stderr": self.stderr,
        }
        return values | ({"error": self.error.what} if self.error else {})


def select(inventory: Inventory, words: Sequence[str]) -> tuple[Host, ...]:
    """The hosts that these names and roles name, none meaning all, in the inventory's order.

    Raises InputError for a word that names nothing, and when no host is left.
    """
    wanted = {name for word in words for name in named(word, inventory)}
    if words and not wanted:
        raise InputError(
            f"no host of the inventory is a {' or a '.join(words)}", resolution="name hosts, or another role"
        )
    return tuple(host for host in inventory.hosts if host.name in wanted or not words)


def execute(
    session: Session,
    hosts: Sequence[Host],
    command: str,
    *,
    root: bool = True,
    read_only: bool = False,
    limit: int = LIMIT,
    tell: Tell | None = None,
) -> tuple[Ran, ...]:
    """Run ``command``, a line of shell, on ``hosts`` at once; how it ended on each, in their order.

    The operator's lock is held meanwhile, unless the command is said to be ``read_only``. Each host may write ``limit``
    bytes; then the command is cut off. All of it is in the audit trail. Raises Refused when another operator works, and
    ConnectError when no control plane is reached to ask.
    """
    if not read_only:
        session.hold()
    heard = {host.name: _Heard(host.name, limit, tell) for host in hosts}
    with open_trail(session.call, session.inventory.cluster.name, "exec") as trail:
        trail.write("exec", hosts=[host.name for host in hosts], text=command, root=root, read_only=read_only)
        began = time.monotonic()
        try:
            statuses, errors = session.execute(
                hosts,
                command,
                root=root,
                out=lambda host, data: heard[host.name].take("stdout", data),
                err=lambda host, data: heard[host.name].take("stderr", data),
            )
        except KeyboardInterrupt:
            trail.write("interrupted", seconds=round(time.monotonic() - began, 3))
            raise
        ran = tuple(heard[host.name].ended(statuses.get(host.name), errors.get(host.name)) for host in hosts)
        for each in ran:
            tails = {"stdout": each.stdout[-_KEPT:], "stderr": each.stderr[-_KEPT:]}
            trail.write("ran", host=each.host, status=each.status, error=each.error, **tails)
        trail.write("ended", seconds=round(time.monotonic() - began, 3))
    return ran


class _Heard:
    """What one host has said so far, within its limit."""

    def __init__(self, host: str, limit: int, tell: Tell | None) -> None:
        self._host = host
        self._limit = limit
        self._size = 0
        self._streams: dict[Stream, _Lines] = {name: _Lines(host, name, tell) for name in _STREAMS}

    def take(self, stream: Stream, data: bytes) -> None:
        """Take a piece. Raises CommandFailed past the limit."""
        self._streams[stream].take(data[: max(0, self._limit - self._size)])
        self._size += len(data)
        if self._size > self._limit:
            raise CommandFailed(
                f"{self._host}: the command was cut off after {self._limit >> 20} MiB of output",
                resolution="let it write to a file on the host, or allow more: --max-output MIB",
            )

    def ended(self, status: int | None, error: ClusterctlError | None) -> Ran:
        """What came out."""
        out, err = (self._streams[name].ended() for name in _STREAMS)
        return Ran(self._host, status, out, err, error)


class _Lines:
    """One stream of one host: told by lines, kept as a whole."""

    def __init__(self, host: str, stream: Stream, tell: Tell | None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._texts: list[str] = []
        self._begun = ""
        self._tell: Callable[[str], None] = lambda line: tell(host, stream, redact(line)) if tell else None

    def take(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        self._texts.append(text)
        *lines, self._begun = (self._begun + text).split("\n")
        if len(self._begun) > _LINE:
            lines.append(self._begun)
            self._begun = ""
        for line in lines:
            self._tell(line)

    def ended(self) -> str:
        if self._begun:
            self._tell(self._begun)
        return redact("".join(self._texts))
