"""A TCP relay on the loopback address, as an SSH tunnel would be."""

import contextlib
import socket
import threading


class Relay:
    """Carries bytes between a local port and another, and counts connections."""

    def __init__(self, port: int, target: int) -> None:
        self.connections = 0
        self._port = port
        self._target = target
        self._server: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def start(self) -> None:
        """Listen."""
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._run(self._accept, self._server)

    def stop(self) -> None:
        """Close everything."""
        for end in [self._server, *self._sockets]:
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        for end in [self._server, *self._sockets]:
            if end is not None:
                end.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            self._run(self._carry, near, far)
            self._run(self._carry, far, near)

    def _run(self, function: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=function, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
