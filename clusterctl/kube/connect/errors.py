"""What the API said no to, in plain words."""

import json
import re

from clusterctl.errors import ClusterctlError, KubernetesError

CONNECT_TIMEOUT = 5.0
TEMPORARY = {403, 429, 500, 502, 503, 504}
HANDSHAKE = "in the TLS handshake"


VERBS = {"GET": "read", "POST": "create", "PATCH": "change", "DELETE": "delete"}
_NEXT = {
    401: "the kubeconfig's credentials are not accepted; look at their age with `kubeadm certs check-expiration` "
    "on a control plane",
    403: "`kubectl auth can-i --list` shows what these credentials may do; right after a start of the API server, "
    "run the command again",
    404: "look at what exists with `kubectl get` or `kubectl api-resources`, then run the command again",
    409: "somebody else changed it at the same moment; run the command again",
    429: "the API server is busy or a disruption budget holds; run the command again later",
    500: "look at the API server's log on a control plane: `crictl logs $(crictl ps -q --name kube-apiserver)`",
}


class ApiError(KubernetesError):
    """A request failed: which one, and what the API server said.

    ``reason`` and ``message`` are the server's own words, such as ``NotFound``; ``causes`` are its reasons in
    detail, ``cause_types`` what it calls them, such as ``NamespaceTerminating``. ``retry_after`` is for how many
    seconds it wants to be left alone. ``temporary`` says that a read may fare better in a moment. ``sent`` is False
    when no connection came about, so that nothing can have changed.
    """

    def __init__(
        self,
        verb: str,
        target: str,
        *,
        status: int | None,
        reason: str,
        message: str,
        resolution: str,
        temporary: bool = False,
        sent: bool = True,
        causes: tuple[str, ...] = (),
        cause_types: tuple[str, ...] = (),
        retry_after: float = 0.0,
    ) -> None:
        answer = f"the API server answered {status} {reason}" if status else reason
        super().__init__(
            f"cannot {verb} {target}: {answer}".rstrip(), details=message, resolution=resolution, status=status
        )
        self.verb = verb
        self.target = target
        self.reason = reason
        self.message = message
        self.temporary = temporary
        self.sent = sent
        self.causes = causes
        self.cause_types = cause_types
        self.retry_after = retry_after


def describe(path: str) -> str:
    """Say which object a request path means, as kubectl names it: ``secrets/x in kube-system``."""
    parts = path.strip("/").split("/")
    if parts[0] not in ("api", "apis"):
        return path
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if not parts:
        return path
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = f" in {parts[1]}", parts[2:]
    return "/".join(parts) + namespace


def in_handshake(error: BaseException) -> bool:
    """Whether an error of the library comes from a handshake. It wraps what it catches; ours are of other requests."""
    inside = [each for each in (*error.args, error.__context__) if isinstance(each, BaseException)]
    return HANDSHAKE in getattr(error, "__notes__", ()) or any(
        in_handshake(each) for each in inside if not isinstance(each, ClusterctlError)
    )


def refusal(method: str, path: str, status: int, phrase: str, content: bytes) -> ApiError:
    """The error for an answer other than 2xx. A body that is no Status is quoted as it is."""
    try:
        body = json.loads(content)
        reason, message = body.get("reason") or phrase, body.get("message") or ""
        details = body.get("details") or {}
        causes = [(str(cause.get("message", "")), str(cause.get("reason", ""))) for cause in details.get("causes", ())]
        retry_after = float(details.get("retryAfterSeconds", 0))
    except (ValueError, AttributeError):
        reason, message, causes, retry_after = phrase, content[:500].decode("utf-8", "replace").strip(), [], 0.0
    return ApiError(
        VERBS[method],
        describe(path),
        status=status,
        reason=str(reason),
        message=str(message),
        resolution=_NEXT.get(status, _NEXT[500] if status >= 500 else "correct what the API server names"),
        temporary=status in TEMPORARY,
        causes=tuple(message for message, _ in causes),
        cause_types=tuple(name for _, name in causes),
        retry_after=retry_after,
    )


def no_answer(server: str, method: str, path: str, error: Exception) -> ApiError:
    """The error for a request without an answer."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

    text = str(getattr(error, "reason", None) or error)
    unverified = "CERTIFICATE_VERIFY_FAILED" in text
    resolution = (
        "check on a control plane that the API server runs: `systemctl status kubelet` and "
        "`crictl ps -a --name kube-apiserver`; then run the command again"
    )
    if isinstance(error, NewConnectionError):
        reason = f"no connection to {server}"
    elif isinstance(error, ConnectTimeoutError):
        reason = f"no connection to {server} within {CONNECT_TIMEOUT:.0f} s"
    elif isinstance(error, ReadTimeoutError):
        reason = f"{server} did not answer in time"
    elif unverified:
        reason = f"{server} shows a certificate that cannot be verified"
        resolution = "use the kubeconfig of this cluster: /etc/kubernetes/admin.conf of one of its control planes"
    else:
        reason = f"the connection to {server} broke"
    return ApiError(
        VERBS[method],
        describe(path),
        status=None,
        reason=reason,
        message=re.sub(r"^<[^<>]*>: ?|^[A-Za-z]+\([^()]*\): ", "", text),
        resolution=resolution,
        temporary=not unverified,
        sent=not (isinstance(error, (NewConnectionError, ConnectTimeoutError)) or in_handshake(error)),
    )
