"""What a forecast asks of the API beside pods and budgets: evictions that are not meant, and what is around."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clusterctl.kube.connect.client import CONNECTIONS, PATIENCE, Kube, Object
from clusterctl.kube.connect.errors import ApiError
from clusterctl.model.pods import Around, Pinned, PodFacts, Refusal, Replicas

_BUDGET = "DisruptionBudget"
_TWO_BUDGETS = "more than one PodDisruptionBudget"


def look_around(kube: Kube, pods: Iterable[PodFacts], *, patience: float = PATIENCE) -> Around:
    """Read what else decides what draining nodes with these pods means. Raises KubernetesError."""
    paths = ["/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets", "/api/v1/services"]
    if any(pod.claims for pod in pods):
        paths += ["/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"]
    with ThreadPoolExecutor(max_workers=len(paths), thread_name_prefix="around") as pool:
        deployments, stateful_sets, services, *storage = pool.map(
            lambda path: kube.items(path, patience=patience), paths
        )
    return Around(
        {
            **{_key("Deployment", item): deployment_replicas(item) for item in deployments},
            **{_key("StatefulSet", item): stateful_set_replicas(item) for item in stateful_sets},
        },
        volumes(*storage) if storage else {},
        tuple(pinned for item in services if (pinned := pinned_service(item))),
    )


def try_evictions(kube: Kube, pods: Sequence[PodFacts], *, patience: float = PATIENCE) -> dict[str, Refusal]:
    """Ask for each pod whether it could be evicted now; nothing is. Returns the refusals, by ``namespace/name``.

    The API server looks at each pod alone: two pods of a budget that lets one go are both not refused. Raises
    KubernetesError when it does not answer.
    """

    def one(pod: PodFacts) -> Refusal | None:
        # Everything is the admission's to see, and nothing is stored.
        body: Object = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        error = kube.ask(path, body, {"dryRun": "All"}, final=_is_answer, patience=patience)
        return refusal(error) if error else None

    with ThreadPoolExecutor(max_workers=CONNECTIONS, thread_name_prefix="evictions") as pool:
        answers = pool.map(one, pods)
        return {str(pod): answer for pod, answer in zip(pods, answers, strict=True) if answer}


def _is_answer(error: ApiError) -> bool:
    """Whether a refusal is about the pod, not about an API server that is busy or has just started."""
    return not error.temporary or _is_of_budget(error) or "webhook" in error.message


def refusal(error: ApiError) -> Refusal | None:
    """What an answer other than yes means.

    None when the pod is gone, goes with its namespace, or when a webhook would have to be asked in earnest.
    """
    gone = error.status in (404, 409) or "NamespaceTerminating" in error.cause_types
    if gone or "does not support dry run" in error.message:
        return None
    by_budget = _is_of_budget(error)
    told = "; ".join(dict.fromkeys(filter(None, (*error.causes, "" if by_budget and error.causes else error.message))))
    return Refusal(error.status or 0, told, by_budget)


def _is_of_budget(error: ApiError) -> bool:
    return _BUDGET in error.cause_types or _TWO_BUDGETS in error.message


def deployment_replicas(item: Mapping[str, Any]) -> Replicas:
    """Read a Deployment."""
    wanted, status = _wanted(item), item.get("status") or {}
    updated = status.get("updatedReplicas", 0)
    whole = not _is_new(item) and updated >= wanted and status.get("replicas", 0) <= updated
    paused = "it is paused, " if item["spec"].get("paused") else ""
    return Replicas(wanted, "" if whole else f"{paused}{updated} of {wanted} pods are up to date")


def stateful_set_replicas(item: Mapping[str, Any]) -> Replicas:
    """Read a StatefulSet. One that is to be updated in part, or by hand, is not told to be unfinished."""
    wanted, status, strategy = _wanted(item), item.get("status") or {}, item["spec"].get("updateStrategy") or {}
    partial = strategy.get("type") == "OnDelete" or (strategy.get("rollingUpdate") or {}).get("partition")
    updated = status.get("updatedReplicas", 0)
    same = status.get("currentRevision") == status.get("updateRevision")
    whole = not _is_new(item) and (same or updated >= wanted or partial)
    return Replicas(wanted, "" if whole else f"{updated} of {wanted} pods are up to date")


def volumes(claims: Iterable[Mapping[str, Any]], found: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The node selectors of the volumes of claims, of those that have one."""
    selectors = {item["metadata"]["name"]: ((item["spec"].get("nodeAffinity") or {}).get("required")) for item in found}
    return {
        f"{claim['metadata']['namespace']}/{claim['metadata']['name']}": selector
        for claim in claims
        if (selector := selectors.get(claim["spec"].get("volumeName", "")))
    }


def pinned_service(item: Mapping[str, Any]) -> Pinned | None:
    """The Service, if it leads each client to the same pod."""
    spec, metadata = item["spec"], item["metadata"]
    if spec.get("sessionAffinity") != "ClientIP" or not spec.get("selector"):
        return None
    return Pinned(metadata["namespace"], metadata["name"], spec["selector"])


def _key(kind: str, item: Mapping[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{kind}/{item['metadata']['name']}"


def _wanted(item: Mapping[str, Any]) -> int:
    return int(item["spec"].get("replicas", 1))


def _is_new(item: Mapping[str, Any]) -> bool:
    """Whether the controller has not looked at the newest spec."""
    return bool((item.get("status") or {}).get("observedGeneration", 0) < item["metadata"].get("generation", 0))
