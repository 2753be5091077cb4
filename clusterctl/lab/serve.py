"""The package repository of a lab: files over HTTP, on the lab's own bridge. Standard library only.

``python -m clusterctl.lab.serve RECORD ADDRESS PORT DIRECTORY``
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

from clusterctl.lab.process import me, write_record


class Server(ThreadingHTTPServer):
    """An HTTP server that many machines may ask at once."""

    daemon_threads = True
    request_queue_size = 256

    def server_bind(self) -> None:
        """Bind without looking our own name up, which may take seconds where DNS does not answer."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class Handler(SimpleHTTPRequestHandler):
    """Files, over connections that stay open."""

    protocol_version = "HTTP/1.1"


def main(record: str, address: str, port: str, directory: str) -> None:
    """Serve until killed."""
    with Server((address, int(port)), partial(Handler, directory=directory)) as server:
        write_record(Path(record), {"pid": me().pid, "started": me().started})
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:5])
