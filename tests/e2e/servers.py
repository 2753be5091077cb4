"""What a site has between its machines and the world: a registry with TLS and a password, and a proxy."""

import ipaddress
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import bcrypt
import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificate(folder: Path, address: str) -> None:
    """Write ``ca.crt``, and ``tls.crt`` and ``tls.key`` of a server at this address, which it signs."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(
                name("site authority"), name(subject), key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(authority, hashes.SHA256())

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    pem = serialization.Encoding.PEM
    ca = certificate("site authority", authority, x509.BasicConstraints(ca=True, path_length=None))
    (folder / "ca.crt").write_bytes(ca.public_bytes(pem))
    (folder / "tls.crt").write_bytes(certificate("registry", server, names).public_bytes(pem))
    (folder / "tls.key").write_bytes(
        server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@contextmanager
def guarded_registry(folder: Path, address: str, user: str, password: str) -> Iterator[str]:
    """The lab's images, read-only, behind TLS and a password; gives its ``HOST:PORT``."""
    write_certificate(folder, address)
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{user}:{hashed}\n")
    cache = Path(platformdirs.user_cache_dir("clusterctl")) / "lab"
    program = max((cache / "items").glob("registry-3*/registry"), key=lambda path: path.stat().st_mtime)
    with socket.socket() as probe:
        probe.bind((address, 0))
        host = f"{address}:{probe.getsockname()[1]}"
    settings = {
        "REGISTRY_HTTP_ADDR": host,
        "REGISTRY_HTTP_TLS_CERTIFICATE": str(folder / "tls.crt"),
        "REGISTRY_HTTP_TLS_KEY": str(folder / "tls.key"),
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "site",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd"),
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(cache / "registry"),
        "REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}",
        "OTEL_TRACES_EXPORTER": "none",
    }
    with (folder / "registry.log").open("wb") as log:
        running = subprocess.Popen(
            [str(program), "serve", str(program.with_name("config.yml"))],
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 20
        while not _listens(host):
            assert running.poll() is None, (folder / "registry.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield host
    finally:
        running.terminate()
        running.wait(10)


def _listens(host: str) -> bool:
    address, _, port = host.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((address, int(port))) == 0


class Proxy(ThreadingHTTPServer):
    """A small proxy, for TLS by CONNECT; ``asked`` is what it was asked for."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Forward)
        self.asked: list[str] = []
        self.address = f"http://{address}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, name="proxy", daemon=True).start()


class _Forward(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        """Fetch for somebody."""
        self.server.asked.append(self.path)
        try:
            with urlopen(self.path) as answer:  # noqa: S310 - what the test's machines ask for.
                status, body = answer.status, answer.read()
        except HTTPError as error:
            with error:
                status, body = error.code, error.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """Carry bytes both ways until one side ends."""
        self.server.asked.append(self.path)
        host, _, port = self.path.rpartition(":")
        try:
            there = socket.create_connection((host, int(port)))
        except OSError as error:
            self.send_error(502, str(error))
            return
        with there:
            self.send_response(200)
            self.end_headers()
            other = {self.connection: there, there: self.connection}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
