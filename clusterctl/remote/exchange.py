"""One command's conversation: standard input in, both outputs and the exit status out."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import Channel

_CHUNK = 32 * 1024
_NOTICE = 1.0
# How long, in seconds, output is waited for after the command has ended: a process that it left behind in the
# background may hold the other end for ever.
_STRAGGLERS = 2.0
# How often, in seconds, to look whether the host takes more input again after it took none.
_FULL = 0.05


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. ``status`` is None when the host sent none: it is not known how the command ended."""

    status: int | None
    stdout: str
    stderr: str


Take = Callable[[bytes], object]


def converse(channel: "Channel", stdin: bytes, take: Take | None = None, take_errors: Take | None = None) -> Result:
    """Send ``stdin`` to the command that runs in ``channel``, and read until it ends.

    Whatever breaks on the way, the command has been started: that is a Result without a status, not an error.
    With ``take``, which may raise a ClusterctlError, standard output goes there in pieces as it comes, and is not kept;
    likewise standard error with ``take_errors``.
    """
    from paramiko import SSHException

    out, err = bytearray(), bytearray()
    status = -1
    try:
        _talk(channel, stdin, take or out.extend, take_errors or err.extend)
        while not channel.status_event.wait(_NOTICE):
            pass  # The command closed its outputs and goes on. A broken connection sets the event as well.
        status = channel.exit_status
    except (SSHException, EOFError, OSError):
        pass
    finally:
        with suppress(SSHException, EOFError, OSError):
            channel.close()
    return Result(None if status < 0 else status, out.decode(errors="replace"), err.decode(errors="replace"))


def _talk(channel: "Channel", stdin: bytes, take: Take, take_errors: Take) -> None:
    """Send and read, until both outputs have ended, or the command has.

    One loop does both, so that no amount of input or output blocks the other direction. It sleeps until paramiko
    has something for us.
    """
    news = threading.Event()
    channel.in_buffer.set_event(news)
    channel.in_stderr_buffer.set_event(news)
    channel.settimeout(0.0)
    pending = memoryview(stdin)
    eof_due = True
    ended = 0.0
    while True:
        if pending:
            pending = _send(channel, pending)
        if eof_due and not pending:
            eof_due = False
            channel.shutdown_write()
        last = channel.eof_received or channel.closed
        if channel.recv_ready():
            take(channel.recv(_CHUNK))
        elif channel.recv_stderr_ready():
            take_errors(channel.recv_stderr(_CHUNK))
        elif last:
            break
        elif channel.status_event.is_set():
            ended = ended or time.monotonic()
            if time.monotonic() - ended > _STRAGGLERS:
                break
            news.wait(_FULL)
        else:
            news.wait(_FULL if pending else _NOTICE)


def _send(channel: "Channel", pending: memoryview) -> memoryview:
    """Send what the host takes now; what is left. A command that has ended takes the rest as well, unread."""
    if channel.closed:
        return pending[:0]
    try:
        sent = channel.send(bytes(pending[:_CHUNK]))
    except TimeoutError:
        return pending
    except OSError:
        if channel.closed:
            return pending[:0]
        raise
    return pending[sent:] if sent else pending[:0]
