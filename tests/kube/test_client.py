"""Connecting, reading, and what becomes of errors: against a real API server, and in tables."""

import base64
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from clusterctl.errors import InputError, KubernetesError, OutcomeUnknown
from clusterctl.kube.connect import client
from clusterctl.kube.connect.client import Kube
from clusterctl.kube.connect.errors import ApiError, describe
from clusterctl.kube.connect.kubeconfig import read_kubeconfig
from tests.kube.certificates import client_certificate
from tests.kube.relay import Relay
from tests.kube.server import ADMIN, NOBODY, ApiServer, free_port


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/version", "/version"),
        ("/api/v1/nodes", "nodes"),
        ("/api/v1/nodes/w1", "nodes/w1"),
        ("/api/v1/namespaces/web", "namespaces/web"),
        ("/api/v1/namespaces/kube-system/secrets/x", "secrets/x in kube-system"),
        ("/api/v1/namespaces/web/pods/p/log", "pods/p/log in web"),
        ("/apis/apps/v1/namespaces/web/deployments", "deployments in web"),
        ("/apis/apps/v1", "/apis/apps/v1"),
    ],
)
def test_a_path_is_described_in_the_words_of_kubectl(path: str, text: str) -> None:
    """An error names the object, not the URL."""
    assert describe(path) == text


KUBECONFIG = """
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://k8s.example:6443", certificate-authority-data: Y2E=}}]
users: [{name: u, user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}}]
"""


def test_the_current_context_is_read() -> None:
    """Everything that a connection needs is in the text that kubeadm writes."""
    access = read_kubeconfig(KUBECONFIG)

    assert (access.server, access.server_name) == ("https://k8s.example:6443", "k8s.example")
    assert (access.authority, access.certificate) == ("ca", "cert")
    assert access.key is not None
    assert access.key.reveal() == "key"


def test_files_beside_the_kubeconfig_are_read(tmp_path: Path) -> None:
    """Relative paths count from the kubeconfig's folder, as for kubectl."""
    (tmp_path / "token").write_text("abc\n")
    text = KUBECONFIG.replace("client-certificate-data: Y2VydA==, client-key-data: a2V5", "tokenFile: token")

    access = read_kubeconfig(text, folder=tmp_path)

    assert access.token is not None
    assert access.token.reveal() == "abc"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("current-context: a", "", "'current-context' is missing"),
        ("current-context: a", "current-context: b", "it has no entry 'b' among its contexts"),
        ("https://k8s.example:6443", "http://k8s.example", "the server 'http://k8s.example' is not https://HOST:PORT"),
        ("client-key-data: a2V5", "client-key-data: a2V", "not a kubeconfig"),
        ("client-key-data: a2V5", "client-key: /nowhere/key", "No such file or directory: '/nowhere/key'"),
        ("client-key-data: a2V5", "client-key-data: [a2V5", "not valid YAML near line 5"),
        (KUBECONFIG, "", "not a kubeconfig"),
    ],
)
def test_a_broken_kubeconfig_is_bad_input(old: str, new: str, problem: str) -> None:
    """The error says what is wrong with the file and shows no key."""
    with pytest.raises(InputError) as caught:
        read_kubeconfig(KUBECONFIG.replace(old, new), source="admin.conf")

    assert problem in caught.value.what
    assert "a2V" not in str(caught.value)


def test_a_missing_kubeconfig_is_bad_input(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(InputError, match="nowhere"):
        Kube.from_file(tmp_path / "nowhere")


def test_a_kubeconfig_file_connects(api_server: ApiServer, tmp_path: Path) -> None:
    """A kubeconfig alone is enough to talk to a cluster."""
    file = tmp_path / "kubeconfig"
    file.write_text(api_server.kubeconfig().reveal())

    with Kube.from_file(file) as kube:
        assert kube.get("/version")["major"] == "1"


def test_a_tunnel_is_verified_by_the_name_in_the_kubeconfig(api_server: ApiServer) -> None:
    """The dialled address is the tunnel's, the name that is checked is the endpoint's, which nobody resolves."""
    kubeconfig = api_server.kubeconfig(server="https://kubernetes.default.svc:6443")

    with Kube(kubeconfig, tunnel_port=api_server.port) as kube:
        assert kube.get("/version")["major"] == "1"


def test_a_tunnel_to_another_server_is_refused(api_server: ApiServer) -> None:
    """A server whose certificate is for another name is not talked to, and nobody waits for it."""
    kubeconfig = api_server.kubeconfig(server="https://other.example:6443")

    began = time.monotonic()
    with Kube(kubeconfig, tunnel_port=api_server.port) as kube, pytest.raises(ApiError) as caught:
        kube.create("/api/v1/namespaces", {"metadata": {"name": "never"}})

    assert "certificate that cannot be verified" in caught.value.what
    assert (caught.value.status, caught.value.sent) == (None, False)
    assert time.monotonic() - began < 2


def test_a_tunnel_ignores_the_proxy_of_the_environment(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes through a tunnel does not go through a proxy too."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    with Kube(api_server.kubeconfig(), tunnel_port=api_server.port) as kube:
        assert kube.get("/version", patience=0)["major"] == "1"


def test_a_client_certificate_is_used_and_leaves_no_file(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key goes from the kubeconfig to the TLS library through memory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    certificate, key = client_certificate(api_server.folder, user="operator", group="system:masters")
    user: dict[str, object] = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }

    with Kube(api_server.kubeconfig(user=user)) as kube:
        kube.get("/api/v1/nodes", patience=0)

        assert list(tmp_path.iterdir()) == []


def test_a_key_that_does_not_fit_its_certificate_is_bad_input(api_server: ApiServer) -> None:
    """The error blames the kubeconfig and comes before any connection."""
    certificate, _ = client_certificate(api_server.folder, user="a", group="a")
    _, key = client_certificate(api_server.folder, user="b", group="b")
    user: dict[str, object] = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }

    with pytest.raises(InputError, match="certificates in the kubeconfig cannot be used"):
        Kube(api_server.kubeconfig(user=user))


def test_a_credential_program_is_asked(api_server: ApiServer, tmp_path: Path) -> None:
    """Kubeconfigs of managed clusters name a program that prints a token."""
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": ADMIN}}
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", f"echo '{json.dumps(answer)}'"],
    }

    with Kube(api_server.kubeconfig(user={"exec": program})) as kube:
        kube.get("/api/v1/nodes", patience=0)


def test_a_credential_program_that_fails_is_bad_input(api_server: ApiServer) -> None:
    """The error quotes the program."""
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", "echo log in first >&2; exit 1"],
    }

    with pytest.raises(InputError, match="log in first"):
        Kube(api_server.kubeconfig(user={"exec": program}))


def test_a_missing_object_is_named(kube: Kube) -> None:
    """The error has the verb, the object, the status, the server's reason and a next step."""
    with pytest.raises(KubernetesError) as caught:
        kube.get("/api/v1/namespaces/kube-system/secrets/none")

    assert str(caught.value).splitlines()[:2] == [
        "cannot read secrets/none in kube-system: the API server answered 404 NotFound",
        '  secrets "none" not found',
    ]
    assert caught.value.status == 404
    assert caught.value.resolution


def test_find_returns_none_for_what_is_missing(kube: Kube) -> None:
    """A missing object is an answer, too."""
    assert kube.find("/api/v1/nodes/none") is None


def test_deleting_what_is_gone_is_fine(kube: Kube) -> None:
    """What should be gone is gone."""
    kube.delete("/api/v1/nodes/none")


def test_a_missing_right_is_told_with_the_servers_words(api_server: ApiServer) -> None:
    """The error quotes who may not do what."""
    with Kube(api_server.kubeconfig(token=NOBODY)) as kube, pytest.raises(ApiError) as caught:
        kube.get("/api/v1/nodes", patience=0)

    assert (caught.value.status, caught.value.reason) == (403, "Forbidden")
    assert 'User "nobody" cannot list resource "nodes"' in caught.value.message


def test_reads_are_tried_again_while_they_are_forbidden(api_server: ApiServer, kube: Kube) -> None:
    """Right after its start the API server forbids what it will allow in a moment."""
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    timer = threading.Timer(
        0.8,
        lambda: kube.create(
            binding,
            {
                "metadata": {"name": "late"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}],
            },
        ),
    )
    timer.start()
    try:
        with Kube(api_server.kubeconfig(token=NOBODY)) as nobody:
            assert isinstance(nobody.items("/api/v1/nodes", patience=15), list)
    finally:
        timer.join()
        kube.delete(f"{binding}/late")


def test_changes_are_not_tried_again_when_forbidden(api_server: ApiServer) -> None:
    """A change is sent once."""
    began = time.monotonic()

    with Kube(api_server.kubeconfig(token=NOBODY)) as kube, pytest.raises(ApiError) as caught:
        kube.create("/api/v1/nodes", {"metadata": {"name": "w1"}})

    assert "cannot create nodes: the API server answered 403" in caught.value.what
    assert time.monotonic() - began < 2


def test_nobody_listening_is_told(api_server: ApiServer) -> None:
    """A refused connection has no status and says what to look at."""
    port = free_port()

    with (
        Kube(api_server.kubeconfig(server=f"https://127.0.0.1:{port}")) as kube,
        pytest.raises(ApiError) as caught,
    ):
        kube.get("/version", patience=0)

    assert caught.value.status is None
    assert caught.value.what == f"cannot read /version: no connection to https://127.0.0.1:{port}"
    assert "Connection refused" in caught.value.details
    assert "kube-apiserver" in caught.value.resolution


def test_a_change_waits_for_a_server_that_does_not_listen_yet(api_server: ApiServer) -> None:
    """As long as no connection comes about nothing was sent, so trying again is safe."""
    port = free_port()
    relay = Relay(port, api_server.port)
    timer = threading.Timer(1.0, relay.start)
    timer.start()
    try:
        with Kube(api_server.kubeconfig(server=f"https://127.0.0.1:{port}")) as kube:
            made = kube.create("/api/v1/namespaces", {"metadata": {"name": "late"}})
    finally:
        timer.join()
        relay.stop()

    assert made["metadata"]["name"] == "late"
    assert relay.connections == 1


@contextmanager
def hanging_up(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that takes connections, does ``serve``, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    serve(connection)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def mute() -> Iterator[int]:
    """Hangs up at once, as a tunnel does while nobody listens at its other end."""
    with hanging_up(lambda connection: None) as port:
        yield port


@pytest.fixture
def dying(api_server: ApiServer) -> Iterator[int]:
    """Shakes hands as the API server, and hangs up as soon as it has a request."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(api_server.authority, api_server.authority.with_suffix(".key"))

    def serve(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(1)

    with hanging_up(serve) as port:
        yield port


def test_a_change_whose_connection_breaks_has_an_unknown_outcome(api_server: ApiServer, dying: int) -> None:
    """Nobody knows whether it was made, and it is not sent again."""
    with (
        Kube(api_server.kubeconfig(server=f"https://127.0.0.1:{dying}")) as kube,
        pytest.raises(OutcomeUnknown, match="whether the change was made is unknown") as caught,
    ):
        kube.create("/api/v1/namespaces", {"metadata": {"name": "lost"}})

    assert caught.value.resolution


def test_a_change_is_not_lost_in_a_handshake(api_server: ApiServer, mute: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a tunnel an API server that does not listen yet hangs up: nothing was sent, and nothing is unknown."""
    monkeypatch.setattr(client, "PATIENCE", 0.5)
    with (
        Kube(api_server.kubeconfig(server=f"https://127.0.0.1:{mute}")) as kube,
        pytest.raises(ApiError, match="the connection to https") as caught,
    ):
        kube.create("/api/v1/namespaces", {"metadata": {"name": "never"}})

    assert (caught.value.status, caught.value.sent) == (None, False)
    assert "run the command again" in caught.value.resolution


def test_a_read_whose_connection_breaks_is_no_answer(api_server: ApiServer, mute: int) -> None:
    """A read changes nothing, so nothing is unknown."""
    with (
        Kube(api_server.kubeconfig(server=f"https://127.0.0.1:{mute}")) as kube,
        pytest.raises(ApiError, match="the connection to https") as caught,
    ):
        kube.get("/version", patience=0)

    assert caught.value.status is None


def test_several_threads_share_one_connection_pool(kube: Kube) -> None:
    """Threads may read at once."""
    found: list[str] = []

    def read() -> None:
        found.append(kube.get("/version")["major"])

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["1"] * 8
