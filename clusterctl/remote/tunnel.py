"""A local port that leads to a port as seen from a host, such as the API server of a control plane."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.remote.connection import Connection

if TYPE_CHECKING:
    from paramiko import Channel

    End = socket.socket | Channel

_CHUNK = 64 * 1024
# Seconds to wait for each thread when closing; they end at once unless something is wrong.
_PATIENCE = 5.0


class Tunnel:
    """Listens on 127.0.0.1, on ``port``, and connects each caller with a target as seen from ``connection``'s host.

    ``target_host`` and ``target_port`` default to the API server of a control plane. ``problem`` is why the last
    caller could not be connected. Closes as a context manager.
    """

    def __init__(self, connection: Connection, target_host: str = "127.0.0.1", target_port: int = 6443) -> None:
        self._connection = connection
        self._target = (target_host, target_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.problem: ClusterctlError | None = None
        self._closing = False
        self._lock = threading.Lock()
        self._ends: set[End] = set()
        self._threads: set[threading.Thread] = set()
        self._start(self._accept)

    @property
    def alive(self) -> bool:
        """Whether, as far as we know, the host is reached."""
        return self._connection.alive

    def close(self) -> None:
        """Close the port and every connection through it, and wait for their threads."""
        with self._lock:
            self._closing = True
            threads = list(self._threads)
            for end in self._ends:
                _cut(end)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # Linux: closing alone does not wake who accepts.
        self._listener.close()
        for thread in threads:
            thread.join(_PATIENCE)

    def __enter__(self) -> "Tunnel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, work: Callable[[], None]) -> threading.Thread | None:
        """Do ``work`` in a thread; None when the tunnel is closing."""

        def whole() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=whole, name=f"tunnel:{self.port}", daemon=True)
        with self._lock:
            if self._closing:
                return None
            self._threads.add(thread)
            thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # Closed.
            if self._start(lambda caller=caller: self._serve(caller)) is None:  # type: ignore[misc]
                caller.close()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            try:
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                channel = self._connection.forward(*self._target)
            except ClusterctlError as error:
                self.problem = error
                return
            except OSError:
                return  # The caller left.
            self.problem = None
            with channel:
                with self._lock:
                    if self._closing:
                        return
                    self._ends |= {caller, channel}
                try:
                    back = self._start(lambda: _copy(channel, caller))
                    _copy(caller, channel)
                    if back:
                        back.join()
                finally:
                    with self._lock:
                        self._ends -= {caller, channel}


def _copy(source: "End", sink: "End") -> None:
    """Copy until ``source`` ends, then end ``sink``'s input. When ``sink`` is gone, ``source`` has nothing to say."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        _cut(source)
        _cut(sink)


def _cut(end: "End") -> None:
    """End both directions of ``end`` and wake the thread that reads from it."""
    with suppress(OSError, EOFError):
        if isinstance(end, socket.socket):
            end.shutdown(socket.SHUT_RDWR)
        else:
            end.close()
