"""Asks an endpoint all the time, each time by a new connection, and remembers what went wrong and for how long."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PAUSE = 0.02


@dataclass
class Probe:
    """Calls ``ask`` in a thread until the end of a ``with`` block; ``ask`` raises OSError when there is no answer."""

    ask: Callable[[], None]
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(PAUSE):
            try:
                self.ask()
            except OSError as error:
                self.lost.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}")
                continue
            now = time.monotonic()
            self.answered += 1
            self.longest_gap, last = max(self.longest_gap, now - last), now

    def __str__(self) -> str:
        return f"{self.answered} answered, {len(self.lost)} lost, longest gap {self.longest_gap:.2f} s"


def connects(address: str, port: int, patience: float = 0.25) -> Callable[[], None]:
    """Whether a connection is taken: the address itself."""

    def ask() -> None:
        socket.create_connection((address, port), patience).close()

    return ask


def version(address: str, port: int, authority: str, patience: float = 5.0) -> Callable[[], None]:
    """Whether an API server behind the address answers ``GET /version``."""
    context = ssl.create_default_context(cadata=authority)

    def ask() -> None:
        with (
            socket.create_connection((address, port), patience) as plain,
            context.wrap_socket(plain, server_hostname=address) as connection,
        ):
            connection.sendall(f"GET /version HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            said = connection.recv(64)
        if not said.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(repr(said))

    return ask
