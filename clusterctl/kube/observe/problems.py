"""What is wrong with a pod, in the words of the scheduler and the kubelet. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 300


def pod_problem(pod: Mapping[str, Any]) -> str:
    """Why the pod is not ready, or nothing.

    A finished pod and one on its way out are fine; so is a failed one that a controller has replaced.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    phase = status.get("phase", "")
    replaced = phase == "Failed" and any(owner.get("controller") for owner in metadata.get("ownerReferences") or [])
    if phase == "Succeeded" or replaced or metadata.get("deletionTimestamp"):
        return ""
    conditions = {entry["type"]: entry for entry in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    return next(_reasons(status, conditions))[:_LONGEST]


def _reasons(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is known, the most telling first."""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"not scheduled: {scheduled.get('message') or scheduled.get('reason')}"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        state = container.get("state") or {}
        stopped = state.get("waiting") or state.get("terminated") or {}
        if stopped and stopped.get("reason") not in ("Completed", "PodInitializing"):
            said = [text for text in (stopped.get("reason"), stopped.get("message")) if text]
            yield ": ".join(said) or "not running"
    for condition in ("ContainersReady", "Ready"):
        if conditions.get(condition, {}).get("message"):
            yield str(conditions[condition]["message"])
    yield str(status.get("message") or status.get("reason") or status.get("phase") or "unknown")


# What stays so until somebody changes the pod, the registry or the nodes; the kubelet tries again meanwhile.
_HOPELESS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "not scheduled",
)


def is_hopeless(problem: str) -> bool:
    """Whether what ``pod_problem`` says is of a kind that waiting does not mend."""
    return problem.startswith(_HOPELESS)
