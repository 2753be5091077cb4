"""Prove that a cluster works: its nodes, its system pods, and traffic between pods of every node.

The traffic runs in a namespace of its own, which is removed at the end, whatever happens. Results are read
from the pods' logs, so a kubeconfig is all that is needed.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterctl.errors import ClusterctlError, KubernetesError
from clusterctl.kube.change.changes import Changes
from clusterctl.kube.connect.client import Kube, Object
from clusterctl.kube.connect.errors import ApiError
from clusterctl.kube.observe.cluster import node_facts, workloads
from clusterctl.kube.observe.node import CONTROL_PLANE
from clusterctl.kube.observe.problems import is_hopeless, pod_problem
from clusterctl.kube.verify.checking import Check, Report, Run, Seen, Stop
from clusterctl.kube.verify.disruption import Web, change_under_load
from clusterctl.kube.verify.traffic import (
    Answer,
    affinity_problems,
    direct_problems,
    dns_problems,
    headless_problems,
    last_round,
    namespace_problems,
    node_port_problems,
    service_problems,
)
from clusterctl.model.facts import NodeFacts
from clusterctl.render import document

__all__ = ["LABEL", "Check", "VerifyResult", "places_for_pods", "verify"]

LABEL = "clusterctl.io/verify"
SYSTEM_NAMESPACES = ("kube-system", "kube-flannel", "calico-system")

_NAMESPACES = "/api/v1/namespaces"
_LEFT_BEHIND = timedelta(minutes=10)
_REQUESTS = 20  # To miss one of two replicas by chance takes some hundred thousand rounds.
_LOG_LINES = 500


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Everything that was looked at, in order."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all of it is so."""
        return all(check.ok for check in self.checks)


def verify(
    kube: Kube,
    report: Report,
    *,
    image: str,
    deadline: float,
    keep: bool = False,
    version: str | None = None,
    nodes: Sequence[str] = (),
    quick: bool = False,
) -> VerifyResult:
    """Look at nodes and system pods, let pods of every node talk to each other, then change what they talk to.

    ``image`` has a shell, nginx, and curl, bash or wget. ``deadline`` is for all checks together, in seconds;
    cleaning up has its own. ``version`` is what the nodes shall run, ``nodes`` are names that shall be among them.
    ``keep`` leaves the namespaces there to look at. ``quick`` leaves out what takes half a minute: the other kinds
    of Services, another namespace, and the changes.

    Raises KubernetesError when the namespace or what belongs into it cannot be made.
    """
    run = Run(kube, report, time.monotonic() + deadline)
    with contextlib.suppress(Stop):
        run.check("nodes", lambda: _nodes(kube, version, nodes))
        run.check("system pods", lambda: _system_pods(kube))
        with _namespaces(run, keep=keep, count=1 if quick else 2) as (namespace, *other):
            _Traffic(run, image, namespace, other[0] if other else "").check()
    return VerifyResult(tuple(run.checks))


def _nodes(kube: Kube, version: str | None, expected: Sequence[str]) -> Seen:
    nodes = [node_facts(item) for item in kube.items("/api/v1/nodes")]
    there = {node.name for node in nodes}
    problems = [f"{name} is not a node of the cluster" for name in expected if name not in there]
    problems += [f"{node.name} is not Ready: {node.reason}" for node in nodes if not node.ready]
    if version is not None:
        wanted = version.removeprefix("v")
        problems += [
            f"{node.name} runs {node.kubelet_version or 'an unknown version'}, not {wanted}"
            for node in nodes
            if node.kubelet_version != wanted
        ]
    if not nodes:
        problems.append("there are no nodes")
    versions = ", ".join(sorted({node.kubelet_version for node in nodes}))
    return Seen(problems, f"{_count(len(nodes), 'node')} Ready at {versions}")


def _system_pods(kube: Kube) -> Seen:
    problems, count, hopeless = [], 0, False
    for namespace in SYSTEM_NAMESPACES:
        pods = kube.items(f"{_NAMESPACES}/{namespace}/pods")
        hopeless = hopeless or _hopeless(pods)
        count += len(pods)
        problems += list(_pod_problems(pods, f"{namespace}/"))
        problems += [
            f"{namespace}/{load.name} has {load.ready} of {load.desired} pods ready"
            for load in workloads(kube, namespace)
            if load.ready < load.desired
        ]
    if not count:
        problems.append("there are no system pods")
    return Seen(problems, f"{_count(count, 'pod')} ready", hopeless=hopeless)


class _Traffic:
    """The web pods and the clients, and what the clients see. ``other`` is a second namespace, if any."""

    def __init__(self, run: Run, image: str, namespace: str, other: str) -> None:
        self._run = run
        self._kube = run.kube
        self._image = image
        self._namespace = namespace
        self._other = other
        self._nodes = [node_facts(item) for item in run.kube.items("/api/v1/nodes")]
        places, self._tolerate = places_for_pods(self._nodes)
        self._spread = places >= 2

    def check(self) -> None:
        """Start everything, judge what the clients see, and change it under their eyes. Raises Stop."""
        kube, namespace, changes = self._kube, self._namespace, Changes(self._kube)
        self._run.report(f"starting two web pods in {namespace}")
        changes.apply(self._web("1", None))
        changes.apply(document("verify/services.yaml.j2", namespace=namespace, quick=not self._other))
        if self._other:
            changes.apply(
                document("verify/other.yaml.j2", namespace=self._other, image=self._image, tolerate=self._tolerate)
            )
        self._run.check("web pods", lambda: _web_pods(kube, namespace, self._other))
        replicas = _endpoints(kube, namespace)
        changes.apply(self._client(replicas))
        self._run.check("client pods", lambda: _client_pods(kube, namespace, self._nodes))
        self._check_answers(replicas)
        if self._other:
            change_under_load(self._run, Web(namespace, self._web), self._logs)

    def _web(self, revision: str, image: str | None) -> str:
        return document(
            "verify/web.yaml.j2",
            namespace=self._namespace,
            image=image or self._image,
            revision=revision,
            spread=self._spread,
            tolerate=self._tolerate,
        )

    def _client(self, replicas: Mapping[str, str]) -> str:
        services = {name: self._service(name) for name in ("affinity", "node-port") if self._other}
        return document(
            "verify/client.yaml.j2",
            namespace=self._namespace,
            image=self._image,
            replicas=" ".join(replicas),
            service_address=self._service("web")["clusterIP"],
            service_name=f"web.{self._namespace}.svc",
            requests=str(_REQUESTS),
            quick=not self._other,
            affinity_address=services["affinity"]["clusterIP"] if services else "",
            nodes=" ".join(self._addresses()) if services else "",
            node_port=str(services["node-port"]["ports"][0]["nodePort"]) if services else "",
            headless_name=f"headless.{self._namespace}.svc",
            other_name=f"other.{self._other}.svc",
        )

    def _service(self, name: str) -> Object:
        found: Object = self._kube.get(f"{_NAMESPACES}/{self._namespace}/services/{name}")["spec"]
        return found

    def _addresses(self) -> list[str]:
        """The addresses of the nodes at which NodePorts are asked."""
        return list(dict.fromkeys(node.internal_address for node in self._nodes if node.internal_address))

    def _check_answers(self, replicas: Mapping[str, str]) -> None:
        addresses = self._addresses()

        def look(judge: Callable[[tuple[Answer, ...]], Iterator[str]], note: str) -> Callable[[], Seen]:
            return lambda: self._judged(judge, note)

        looks = {
            "pod network": look(lambda seen: direct_problems(seen, replicas), "each web pod is reached"),
            "service": look(lambda seen: service_problems(seen, replicas), "the Service leads to each web pod"),
            "dns": look(lambda seen: dns_problems(seen, replicas), "the Service is reached by its name"),
        }
        if self._other:
            looks |= {
                "session affinity": look(
                    lambda seen: affinity_problems(seen, replicas), "a client is led to the same pod each time"
                ),
                "node port": look(
                    lambda seen: node_port_problems(seen, replicas, addresses),
                    f"each of {_count(len(addresses), 'node')} leads to the web pods",
                ),
                "headless": look(
                    lambda seen: headless_problems(seen, replicas), "the name gives the addresses of both web pods"
                ),
                "namespaces": look(namespace_problems, "a pod of another namespace is reached by its name"),
                "kubelets": self._kubelets,
            }
        self._run.check_all(looks)

    def _judged(self, judge: Callable[[tuple[Answer, ...]], Iterator[str]], note: str) -> Seen:
        logs = self._logs("client")
        problems = []
        for node, log in logs.items():
            answers = last_round(log) if isinstance(log, str) else None
            if isinstance(log, ClusterctlError):
                problems.append(f"from {node}: {log.what}: {log.details}".removesuffix(": "))
            elif answers is None:
                problems.append(f"from {node}: no answers yet")
            else:
                problems += [f"from {node}: {problem}" for problem in judge(answers)]
        return Seen(problems, f"{note} from {_count(len(logs), 'node')}")

    def _kubelets(self) -> Seen:
        logs = self._logs("client")
        problems = [
            f"the log of a pod on {node} cannot be read: {log.what}: {log.details}".removesuffix(": ")
            for node, log in logs.items()
            if isinstance(log, ClusterctlError)
        ]
        return Seen(problems, f"the API server reads logs from the kubelets of {_count(len(logs), 'node')}")

    def _logs(self, container: str) -> dict[str, str | KubernetesError]:
        return _logs(self._kube, self._namespace, container)


def places_for_pods(nodes: Sequence[NodeFacts]) -> tuple[int, bool]:
    """On how many nodes a pod can run, and whether it has to tolerate the control plane's taint for that."""
    open_nodes = [node for node in nodes if node.ready and not node.unschedulable]
    hindering = [{taint for taint in node.taints if not taint.endswith(":PreferNoSchedule")} for node in open_nodes]
    free = sum(not taints for taints in hindering)
    tolerant = sum(taints <= {f"{CONTROL_PLANE}:NoSchedule"} for taints in hindering)
    return (free, False) if free else (tolerant, True)


def _web_pods(kube: Kube, namespace: str, other: str) -> Seen:
    pods = kube.items(f"{_NAMESPACES}/{namespace}/pods", {"labelSelector": "app=web"})
    more = kube.items(f"{_NAMESPACES}/{other}/pods") if other else []
    problems = list(_pod_problems([*pods, *more]))
    hopeless = _hopeless([*pods, *more])
    endpoints = _endpoints(kube, namespace)
    if not problems and len(pods) < 2:
        problems.append(f"{len(pods)} of 2 web pods exist")
    if not problems and len(endpoints) < 2:
        problems.append(f"{len(endpoints)} of 2 web pods are endpoints of the Service")
    places = sorted({pod["spec"].get("nodeName", "") for pod in pods})
    return Seen(problems, f"2 pods ready on {', '.join(places)}", hopeless=hopeless)


def _endpoints(kube: Kube, namespace: str) -> dict[str, str]:
    """The ready endpoints of the Service: names of pods by address."""
    slices = kube.items(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {"labelSelector": "kubernetes.io/service-name=web"},
    )
    return {
        endpoint["addresses"][0]: endpoint["targetRef"]["name"]
        for entry in slices
        for endpoint in entry.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") and endpoint.get("targetRef")
    }


def _client_pods(kube: Kube, namespace: str, nodes: Sequence[NodeFacts]) -> Seen:
    pods = kube.items(f"{_NAMESPACES}/{namespace}/pods", {"labelSelector": "app=client"})
    load = next(load for load in workloads(kube, namespace) if load.name == "client")
    problems = list(_pod_problems(pods))
    if not problems and (not load.desired or load.ready < load.desired):
        problems.append(f"{load.ready} of {load.desired} client pods are ready")
    there = {pod["spec"].get("nodeName") for pod in pods}
    spared = sorted(node.name for node in nodes if node.name not in there)
    note = f"{_count(len(pods), 'pod')} ready"
    if spared:
        note += f"; none on {', '.join(spared)}, whose taints forbid it"
    return Seen(problems, note, hopeless=_hopeless(pods))


def _logs(kube: Kube, namespace: str, container: str) -> dict[str, str | KubernetesError]:
    """What a container of the client on each node logged last, or why that cannot be read."""
    pods = kube.items(f"{_NAMESPACES}/{namespace}/pods", {"labelSelector": "app=client"})

    def read(pod: Object) -> str | KubernetesError:
        path = f"{_NAMESPACES}/{namespace}/pods/{pod['metadata']['name']}/log"
        try:
            return kube.text(path, {"container": container, "tailLines": _LOG_LINES}, patience=0)
        except KubernetesError as error:
            return error

    with ThreadPoolExecutor(max_workers=8) as pool:
        logs = list(pool.map(read, pods))
    return {pod["spec"].get("nodeName", ""): log for pod, log in zip(pods, logs, strict=True)}


def _hopeless(pods: Sequence[Object]) -> bool:
    return any(is_hopeless(pod_problem(pod)) for pod in pods)


def _pod_problems(pods: Sequence[Object], prefix: str = "") -> Iterator[str]:
    for pod in pods:
        if problem := pod_problem(pod):
            node = pod["spec"].get("nodeName")
            place = f" on {node}" if node else ""
            yield f"{prefix}{pod['metadata']['name']}{place}: {problem}"


@contextlib.contextmanager
def _namespaces(run: Run, *, keep: bool, count: int) -> Iterator[list[str]]:
    """Namespaces for the traffic; what earlier runs that were killed left behind is removed."""
    stem = f"clusterctl-verify-{secrets.token_hex(3)}"
    names = [stem, f"{stem}-b"][:count]
    labels = {LABEL: "true", "pod-security.kubernetes.io/enforce": "baseline"}
    ordered: list[str] = []

    def remove() -> None:
        # The order to delete goes out first: whoever presses Ctrl-C twice leaves nothing that stays.
        for name in ordered:
            with contextlib.suppress(ClusterctlError):
                run.kube.delete(f"{_NAMESPACES}/{name}")
        run.report(f"removing the namespace {stem}" if count == 1 else f"removing the namespaces {' and '.join(names)}")
        # The namespace controller looks after 5 s for the first time. Pods that have ended by then, and not only
        # when their own time is over, spare it a second look some seconds later.
        for name in ordered:
            with contextlib.suppress(ClusterctlError):
                run.kube.delete(f"{_NAMESPACES}/{name}/pods", {"gracePeriodSeconds": 1})
        run.clean_up("clean-up", lambda: _gone(run.kube, [f"{_NAMESPACES}/{name}" for name in ordered]))

    try:
        for name in names:
            ordered.append(name)
            try:
                made = run.kube.create(_NAMESPACES, {"metadata": {"name": name, "labels": labels}})
            except ApiError:
                ordered.remove(name)  # It was not made.
                raise
        _remove_left_behind(run, made, names)
        yield names
    finally:
        if keep and ordered:
            kept = " ".join(ordered)
            what = "namespace" if len(ordered) == 1 else "namespaces"
            run.report(
                f"the {what} {kept.replace(' ', ' and ')} {'is' if len(ordered) == 1 else 'are'} kept; "
                f"remove with: kubectl delete namespace {kept}"
            )
        elif ordered:
            remove()


def _remove_left_behind(run: Run, own: Object, names: Sequence[str]) -> None:
    """Ages are told by the API server's clock, so that ours may be wrong."""
    for item in run.kube.items(_NAMESPACES, {"labelSelector": LABEL}):
        name = item["metadata"]["name"]
        if name in names or item["metadata"].get("deletionTimestamp"):
            continue
        if _created(own) - _created(item) > _LEFT_BEHIND:
            run.report(f"removing the namespace {name} of an earlier run")
            run.kube.delete(f"{_NAMESPACES}/{name}")


def _created(item: Object) -> datetime:
    return datetime.fromisoformat(item["metadata"]["creationTimestamp"])


def _gone(kube: Kube, paths: Sequence[str]) -> Seen:
    left = []
    for path in paths:
        found = kube.find(path)
        if found is None:
            continue
        if not found["metadata"].get("deletionTimestamp"):
            kube.delete(path)
        left.append(f"{path.rpartition('/')[2]} is still there")
    return Seen(left, "everything is removed")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
