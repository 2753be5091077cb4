"""The one door to the official ``kubernetes`` library: connect, send a request, translate what comes back.

The library is imported when the first ``Kube`` is made and is not seen outside this file. Its transport is
used with plain values instead of its typed models: those validate what servers of other versions send, and
cost a second to build. Its defaults are replaced on purpose: it never retries by itself, every request has
a timeout, and a client key never reaches a disk.

Reads may be tried again, because a just-started API server refuses connections, forbids what is allowed and
fails for a while. A change is sent once; it is tried again only when no connection came about.
"""

import contextlib
import json
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from clusterctl.errors import InputError, KubernetesError, OutcomeUnknown
from clusterctl.kube.connect.errors import CONNECT_TIMEOUT, HANDSHAKE, ApiError, no_answer, refusal
from clusterctl.kube.connect.kubeconfig import Access, read_kubeconfig
from clusterctl.model.secret import Secret
from clusterctl.version import __version__

Object = dict[str, Any]
Query = Mapping[str, str | int]

PATIENCE = 5.0  # Seconds for which a read is tried again.
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_READ_TIMEOUT = 20.0
_CHANGE_TIMEOUT = 65.0  # The API server itself gives up after 60 s and says so.
_PAUSE = 0.3
CONNECTIONS = 8  # More of one process than these are closed after their request.
_PAGE = 500  # How many objects of a collection are read at once, as kubectl does.

_T = TypeVar("_T")


class Kube:
    """A connection to one cluster's API.

    ``tunnel_port`` is a local port that leads to the API server; the server's certificate is still checked
    against the name in the kubeconfig. Use it as a context manager, or call ``close``. Threads may share it.
    """

    def __init__(
        self, kubeconfig: Secret, *, tunnel_port: int | None = None, folder: Path | None = None, source: str = ""
    ) -> None:
        access = read_kubeconfig(kubeconfig.reveal(), folder=folder, source=source or "the kubeconfig")
        if access.command is not None:
            access = _ask_command(access)
        self.server = access.server
        self._client = _connect(access, tunnel_port)

    @classmethod
    def from_file(cls, path: Path) -> "Kube":
        """Connect as the kubeconfig at ``path`` says. Raises InputError when it cannot be read."""
        path = path.expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot read the kubeconfig {path}: {error}", resolution="name another with --kubeconfig FILE"
            ) from error
        return cls(Secret(text), folder=path.parent, source=str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def get(self, path: str, query: Query | None = None, *, patience: float = PATIENCE, accept: str = "") -> Object:
        """Read an object or a list; ``patience`` is for how many seconds to try again. Raises ApiError."""
        headers = {"Accept": accept or "application/json"}
        return _json(self._read(path, query, headers, patience))

    def find(self, path: str, *, patience: float = PATIENCE) -> Object | None:
        """Read an object, None when there is none. Raises ApiError."""
        try:
            return self.get(path, patience=patience)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(
        self, path: str, query: Query | None = None, *, patience: float = PATIENCE, metadata: bool = False
    ) -> list[Object]:
        """Read every object of a collection; only their metadata if that is all that is wanted. Raises ApiError."""
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" if metadata else ""
        found: list[Object] = []
        page: Query = {**(query or {}), "limit": _PAGE}
        while True:
            answer = self.get(path, page, patience=patience, accept=accept)
            found += answer.get("items") or []
            rest = (answer.get("metadata") or {}).get("continue")
            if not rest:
                return found
            page = {**page, "continue": rest}

    def text(self, path: str, query: Query | None = None, *, patience: float = PATIENCE) -> str:
        """Read plain text, such as a pod's log. Raises ApiError."""
        return self._read(path, query, {"Accept": "*/*"}, patience).decode("utf-8", "replace")

    def ask(
        self,
        path: str,
        body: Object,
        query: Query,
        *,
        final: Callable[[ApiError], bool],
        patience: float = PATIENCE,
    ) -> ApiError | None:
        """Ask whether a change would be made: one that ``query`` says is not meant. Returns the refusal, None for yes.

        ``final`` says which refusals are about the change; others, and no answer, are tried again for ``patience``
        seconds, because nothing can have changed. Raises ApiError when that did not help.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json"}

        def once() -> ApiError | None:
            try:
                self._send("POST", path, query, headers, body)
            except ApiError as error:
                if not final(error):
                    raise
                return error
            return None

        return _patiently(once, patience, again=lambda error: error.temporary)

    def create(self, path: str, body: Object) -> Object:
        """Create an object in the collection at ``path``. Raises ApiError."""
        return _json(self._change("POST", path, body=body))

    def patch(self, path: str, body: Object, *, kind: str = MERGE_PATCH, query: Query | None = None) -> Object:
        """Patch the object at ``path``; ``kind`` is the patch's content type. Raises ApiError."""
        return _json(self._change("PATCH", path, query, body=body, kind=kind))

    def delete(self, path: str, body: Object | None = None) -> None:
        """Delete the object at ``path``; that it is gone already is fine. Raises ApiError."""
        try:
            self._change("DELETE", path, body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    def _read(self, path: str, query: Query | None, headers: Mapping[str, str], patience: float) -> bytes:
        return _patiently(
            lambda: self._send("GET", path, query, headers), patience, again=lambda error: error.temporary
        )

    def _change(
        self, method: str, path: str, query: Query | None = None, *, body: Object | None, kind: str = "application/json"
    ) -> bytes:
        headers = {"Accept": "application/json", "Content-Type": kind}
        try:
            return _patiently(
                lambda: self._send(method, path, query, headers, body, timeout=_CHANGE_TIMEOUT),
                PATIENCE,
                again=lambda error: error.temporary and not error.sent,
            )
        except ApiError as error:
            if error.status is None and error.sent:
                raise OutcomeUnknown(
                    f"{error.what}; whether the change was made is unknown",
                    details=error.details,
                    resolution="when the API server answers again, run the same command again: it looks first",
                ) from error
            raise

    def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        headers: Mapping[str, str],
        body: Object | None = None,
        timeout: float = _READ_TIMEOUT,
    ) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={**headers, "Accept-Encoding": "gzip"},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._client.call_api(*request, _request_timeout=(CONNECT_TIMEOUT, timeout))
            content: bytes = answer.read()
        except (HTTPError, ApiException, OSError) as error:
            raise no_answer(self.server, method, path, error) from error
        if not 200 <= answer.status <= 299:
            raise refusal(method, path, answer.status, str(answer.reason or ""), content)
        return content


def preload() -> None:
    """Import the library, which takes a moment: for a thread that has nothing else to do."""
    import kubernetes.client  # noqa: F401


def _ask_command(access: Access) -> Access:
    """Let the kubeconfig's credential program say who we are."""
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import ConfigNode

    provider: Any = ExecProvider
    node: Any = ConfigNode
    try:
        status = provider(node("exec", dict(access.command or {})), None).run()
    except (ConfigException, OSError, KeyError) as error:
        raise InputError(
            f"the credential program of the kubeconfig failed: {error}",
            resolution="run it by hand, or use a kubeconfig with a certificate or a token",
        ) from error
    key, token = status.get("clientKeyData"), status.get("token")
    return Access(
        server=access.server,
        server_name=access.server_name,
        authority=access.authority,
        insecure=access.insecure,
        certificate=status.get("clientCertificateData") or access.certificate,
        key=Secret(key) if key else access.key,
        token=Secret(token) if token else access.token,
        proxy=access.proxy,
    )


def _connect(access: Access, tunnel_port: int | None) -> Any:
    """Make the library's client. This is where the library is imported."""
    import kubernetes.client

    library: Any = kubernetes.client
    through_tunnel = tunnel_port is not None
    configuration = library.Configuration(
        host=f"https://127.0.0.1:{tunnel_port}" if through_tunnel else access.server,
        api_key={"BearerToken": f"Bearer {access.token.reveal()}"} if access.token else None,
        retries=False,
        tls_server_name=access.server_name,
        verify_ssl=not access.insecure,
        connection_pool_maxsize=CONNECTIONS,
        # Without a proxy of its own a direct connection takes the environment's, as kubectl does.
        proxy="" if through_tunnel else access.proxy or None,
    )
    client = library.ApiClient(configuration)
    client.user_agent = f"clusterctl/{__version__}"
    # The library takes certificates as files only; its connections take a ready context.
    client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _tls(access)
    return client


class _Tls(ssl.SSLContext):
    """A context that marks the errors of handshakes: over such a connection no request was sent.

    A tunnel takes connections also while nobody listens at its other end; they break here.
    """

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Shake hands."""
        try:
            return super().wrap_socket(*arguments, **options)
        except OSError as error:
            error.add_note(HANDSHAKE)
            raise


def _tls(access: Access) -> ssl.SSLContext:
    context = _Tls(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if access.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif access.authority:
            context.load_verify_locations(cadata=access.authority)
        else:
            context.load_default_certs()
        if access.certificate and access.key:
            with _as_file(f"{access.certificate.rstrip()}\n{access.key.reveal()}") as name:
                context.load_cert_chain(name)
    except ssl.SSLError as error:
        raise InputError(
            f"the certificates in the kubeconfig cannot be used: {error.reason or error}",
            resolution="compare it with /etc/kubernetes/admin.conf of a control plane",
        ) from error
    return context


@contextlib.contextmanager
def _as_file(content: str) -> Iterator[str]:
    """Show ``content`` to OpenSSL, which reads keys from files alone: from memory where the system has that."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("clusterctl", os.MFD_CLOEXEC)
        with os.fdopen(handle, "w") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{handle}"
        return
    with tempfile.TemporaryDirectory(prefix="clusterctl-") as folder:
        path = Path(folder) / "client.pem"
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
        yield str(path)


def _patiently(attempt: Callable[[], _T], patience: float, again: Callable[[ApiError], bool]) -> _T:
    """Try until it works, the error is final, or ``patience`` seconds are over."""
    end = time.monotonic() + patience
    while True:
        try:
            return attempt()
        except ApiError as error:
            if not again(error) or time.monotonic() + _PAUSE > end:
                raise
        time.sleep(_PAUSE)


def _json(content: bytes) -> Object:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise KubernetesError(
            "the API server's answer is not a JSON object",
            details=content[:200].decode("utf-8", "replace"),
            resolution="check that the kubeconfig's server is a Kubernetes API server",
        )
    return value
