"""Change the web pods of a verification while every node asks them without a pause, and count what is lost."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clusterctl.errors import KubernetesError
from clusterctl.kube.change.changes import Changes
from clusterctl.kube.connect.client import Kube, Object
from clusterctl.kube.observe.problems import pod_problem
from clusterctl.kube.verify.checking import Run, Seen
from clusterctl.kube.verify.traffic import Window, windows

BAD_IMAGE = "localhost:1/clusterctl/there-is-no-such-image:1"
"""Nobody listens there, so that the answer comes at once and nothing leaves the node."""

_NAMESPACES = "/api/v1/namespaces"
_AFTERWARDS = 1  # How many more lines each client logs: the first one holds the requests that were under way.

Logs = Callable[[str], Mapping[str, str | KubernetesError]]
"""The newest log of a container of the client on each node."""


@dataclass(frozen=True, slots=True)
class Web:
    """The Deployment that is changed: ``manifest`` gives it for a revision and, if not its own, an image."""

    namespace: str
    manifest: Callable[[str, str | None], str]


def change_under_load(run: Run, web: Web, logs: Logs) -> None:
    """Replace a pod, update, update to an image that cannot start, and roll back. Raises checking.Stop."""
    changes = Changes(run.kube)
    load = _Load(logs)

    first = _pods(run.kube, web.namespace)[0]["metadata"]
    path = f"{_NAMESPACES}/{web.namespace}/pods/{first['name']}"
    load.mark()
    run.kube.delete(path)
    began = time.monotonic()
    run.check("pod replaced", _timed(load, began, lambda: _replaced(run.kube, web.namespace, first["uid"])))

    for name, revision, image in (
        ("rolling update", "2", None),
        ("bad image", "3", BAD_IMAGE),
        ("rollback", "1", None),
    ):
        load.mark()
        changes.apply(web.manifest(revision, image))
        began = time.monotonic()
        look = _old_pods_serve if image else _rolled_out
        run.check(name, _timed(load, began, lambda look=look: look(run.kube, web.namespace)))  # type: ignore[misc]


class _Load:
    """The constant requests since a mark."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._before: dict[str, int] = {}

    def mark(self) -> None:
        """What follows counts. Where a log cannot be read at this moment, all since the mark before counts."""
        for node, log in self._logs("load").items():
            if isinstance(log, str):
                self._before[node] = _last(windows(log))

    def last(self) -> dict[str, int]:
        """The number of the newest window of each node."""
        return {node: _last(found) for node, found in self._read().items()}

    def seen(self, until: Mapping[str, int], note: str, seconds: float) -> Seen:
        """What was lost since the mark; to be asked again while a node has not logged its window ``until``."""
        found = self._read()
        behind = [node for node, number in until.items() if _last(found.get(node, ())) < number]
        if behind:
            return Seen([f"no news of the constant requests from {', '.join(sorted(behind))}"])
        counted = {
            node: [each for each in several if each.number > self._before.get(node, 0)]
            for node, several in found.items()
        }
        every = [each for several in counted.values() for each in several]
        requests, lost = sum(each.requests for each in every), sum(each.lost for each in every)
        worst = max((each.worst_ms for each in every), default=0)
        measured = {"took_seconds": round(seconds, 1), "requests": requests, "lost": lost, "worst_ms": worst}
        problems = [
            f"from {node}: {sum(each.lost for each in several)} of {sum(each.requests for each in several)} "
            f"requests were lost, first: {next(each.problem for each in several if each.lost)}"
            for node, several in counted.items()
            if any(each.lost for each in several)
        ]
        told = f"{note} {seconds:.1f} s; {lost} of {requests} requests lost, the slowest took {worst} ms"
        return Seen(problems, told, final=True, measured=measured)

    def _read(self) -> dict[str, tuple[Window, ...]]:
        found = {}
        for node, log in self._logs("load").items():
            if isinstance(log, KubernetesError):
                raise log
            found[node] = windows(log)
        return found


def _last(found: Sequence[Window]) -> int:
    return max((each.number for each in found), default=0)


def _timed(load: _Load, began: float, look: Callable[[], Seen]) -> Callable[[], Seen]:
    """First ``look`` until it is so, which is what is timed; then what the constant requests met until then."""
    took = 0.0
    note = ""
    until: dict[str, int] = {}

    def both() -> Seen:
        nonlocal took, note, until
        if not until:
            seen = look()
            if seen.problems:
                return seen
            note, took = seen.note, time.monotonic() - began
            until = {node: number + _AFTERWARDS for node, number in load.last().items()}
        return load.seen(until, note, took)

    return both


def _pods(kube: Kube, namespace: str) -> list[Object]:
    """The web pods that nobody has deleted."""
    found = kube.items(f"{_NAMESPACES}/{namespace}/pods", {"labelSelector": "app=web"})
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def _told(pods: Sequence[Object]) -> list[str]:
    """What is wrong with pods."""
    return [f"{pod['metadata']['name']}: {said}" for pod in pods if (said := pod_problem(pod))]


def _replaced(kube: Kube, namespace: str, gone: str) -> Seen:
    there = kube.items(f"{_NAMESPACES}/{namespace}/pods", {"labelSelector": "app=web"})
    if any(pod["metadata"]["uid"] == gone for pod in there):
        return Seen(["the deleted pod is still there"])
    return _both_serve(there, "a deleted pod was replaced in")


def _rolled_out(kube: Kube, namespace: str) -> Seen:
    deployment = kube.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    status = deployment.get("status") or {}
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"] or counts != [2, 2, 2]:
        return Seen(_told(_pods(kube, namespace)) or [f"{counts[1]} of 2 web pods are up to date"])
    there = kube.items(f"{_NAMESPACES}/{namespace}/pods", {"labelSelector": "app=web"})
    if len(there) > 2:
        return Seen(["the old pods are still ending"])
    return _both_serve(there, "all pods were replaced, one after the other, in")


def _both_serve(there: Sequence[Object], note: str) -> Seen:
    problems = _told(there)
    if not problems and len(there) != 2:
        problems = [f"{len(there)} web pods exist, not 2"]
    return Seen(problems, note)


def _old_pods_serve(kube: Kube, namespace: str) -> Seen:
    """The new pod cannot start and says so; both old ones are ready."""
    pods = _pods(kube, namespace)
    new = [pod for pod in pods if pod["spec"]["containers"][0]["image"] == BAD_IMAGE]
    old = [pod for pod in pods if pod not in new]
    missing = _told(old)
    if missing or len(old) != 2:
        return Seen(missing or [f"{len(old)} of 2 old web pods are left"], final=True)
    said = pod_problem(new[0]) if new else ""
    if not said.startswith(("ErrImagePull", "ImagePullBackOff")):
        return Seen(["the kubelet has not yet said that the image cannot be pulled"])
    return Seen(note="an image that cannot be pulled left both old pods serving; the kubelet said so in")
