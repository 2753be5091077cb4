"""Starts a real etcd and a real kube-apiserver without machines: for tests, and for benchmarks."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clusterctl.kube.connect.client import Kube
from clusterctl.model.secret import Secret
from tests.kube.binaries import find_binary
from tests.kube.certificates import make_authority

ADMIN, NOBODY = "admin-token", "nobody-token"  # The server's token file gives only the first one any rights.


class ApiServer:
    """A running API server: where it listens, whom it trusts, and kubeconfigs for it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def authority(self) -> Path:
        """The certificate of the authority that signed the server's own."""
        return self.folder / "tls" / "apiserver.crt"

    def kubeconfig(self, *, token: str = ADMIN, server: str = "", user: dict[str, object] | None = None) -> Secret:
        """A kubeconfig for this server."""
        config = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {
                    "name": "c",
                    "cluster": {
                        "server": server or f"https://127.0.0.1:{self.port}",
                        "certificate-authority": str(self.authority),
                    },
                }
            ],
            "users": [{"name": "u", "user": user or {"token": token}}],
        }
        return Secret(yaml.safe_dump(config))


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MissingPrograms(Exception):
    """There is no etcd or no kube-apiserver."""


class DidNotStart(Exception):
    """A program ended, or is not ready in time; the text says what it wrote."""


@contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Start etcd and kube-apiserver, with their files in ``folder``, and stop them."""
    etcd, apiserver = find_binary("etcd", folder), find_binary("kube-apiserver", folder)
    if not etcd or not apiserver:
        missing = " and ".join(name for name, path in (("etcd", etcd), ("kube-apiserver", apiserver)) if not path)
        raise MissingPrograms(
            f"no {missing}: put them into a folder and name it with CLUSTERCTL_TEST_BIN, or let the lab build them"
        )
    client, peer, port = free_port(), free_port(), free_port()
    make_authority(folder)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    (folder / "sa.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (folder / "tokens.csv").write_text(
        f'{ADMIN},admin,admin,"system:masters"\n{NOBODY},nobody,nobody,"nobodies"\n', encoding="utf-8"
    )
    commands = {
        "etcd": [
            etcd,
            f"--data-dir={folder}/data",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ],
        "kube-apiserver": [
            apiserver,
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/sa.pub",
            f"--service-account-signing-key-file={folder}/sa.key",
            f"--cert-dir={folder}/tls",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            f"--token-auth-file={folder}/tokens.csv",
            f"--client-ca-file={folder}/client-ca.crt",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--allow-privileged=true",
        ],
    }
    server = ApiServer(folder, port)
    processes = server.processes
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        _wait_until_ready(server, processes)
        yield server
    finally:
        for process in processes.values():
            process.kill()  # Nothing of it is kept, and asked politely the API server takes a quarter of a minute.
            process.wait()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _wait_until_ready(server: ApiServer, processes: dict[str, subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + 90
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                log = (server.folder / f"{name}.log").read_text(errors="replace")
                raise DidNotStart(f"{name} ended with {process.returncode}:\n{log[-2000:]}")
        problem: Exception
        try:
            with Kube(server.kubeconfig()) as kube:
                if kube.text("/readyz", patience=0) == "ok" and kube.find("/api/v1/namespaces/kube-public"):
                    return
                problem = RuntimeError("it is not ready")
        except Exception as error:  # It may fail in every way while it starts; the last one is shown.
            problem = error
        if time.monotonic() > end:
            raise DidNotStart(f"kube-apiserver is not ready after 90 s: {problem}")
        time.sleep(0.2)
