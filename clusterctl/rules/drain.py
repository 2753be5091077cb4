"""Which pods leave a node that is drained: kubectl's rules. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.model.inventory import DrainOptions

if TYPE_CHECKING:
    from clusterctl.model.pods import PodFacts, Pods


SOFT_TAINT = "clusterctl.io/to-be-drained:PreferNoSchedule"
"""Keeps pods that look for a node away from those that are drained soon, as long as others have room."""


@dataclass(frozen=True, slots=True)
class Staying:
    """A pod that a drain leaves where it is."""

    pod: "PodFacts"
    why: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """A pod because of which a node is not drained, and what an operator who wants it nevertheless says."""

    pod: "PodFacts"
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a drain does with the pods of one node. Nothing is evicted while anything is ``fatal``.

    ``gone_for_good`` are those of ``evicted`` that still run and that no controller makes again elsewhere.
    """

    evicted: "tuple[PodFacts, ...]"
    staying: tuple[Staying, ...]
    fatal: tuple[Fatal, ...]

    @property
    def gone_for_good(self) -> "tuple[PodFacts, ...]":
        """The running pods that nobody makes again."""
        return tuple(
            pod for pod in self.evicted if not pod.finished and not (pod.controller and pod.controller.present)
        )


def leaving(pods: "Pods", node: str, options: DrainOptions) -> Leaving:
    """What draining ``node`` means for each of its pods. The first rule that keeps a pod decides, as for kubectl."""
    evicted, staying, fatal = [], [], []
    for pod in pods.on(node):
        kept = next(_kept(pod, options), None)
        if isinstance(kept, Fatal):
            fatal.append(kept)
        elif kept:
            staying.append(kept)
        else:
            evicted.append(pod)
    return Leaving(tuple(evicted), tuple(staying), tuple(fatal))


def _kept(pod: "PodFacts", options: DrainOptions) -> Iterator[Staying | Fatal]:
    """What keeps the pod, in the order of kubectl's filters."""
    owner = pod.controller
    if is_given_up(pod, options):
        yield Staying(pod, f"is being deleted and {pod.overdue:.0f} s late; it is not waited for")
    if owner and owner.daemon_set and not pod.finished:
        if owner.present:
            yield Staying(pod, f"belongs to {owner}, which ignores that a node is cordoned")
        elif not options.force:
            yield Fatal(
                pod, f"belongs to {owner}, which does not exist", "force deletes pods that nobody makes again (--force)"
            )
    if pod.mirror:
        yield Staying(pod, "is a static pod of the node")
    if pod.empty_dirs and not pod.finished and not options.delete_emptydir_data:
        yield Fatal(
            pod,
            f"keeps data in emptyDir {', '.join(pod.empty_dirs)}, which is lost",
            "delete_emptydir_data gives that data up (--delete-emptydir-data)",
        )
    if owner is None and not pod.finished and not options.force:
        yield Fatal(pod, "has no controller", "force deletes pods that nobody makes again (--force)")


def is_given_up(pod: "PodFacts", options: DrainOptions) -> bool:
    """Whether the pod's deletion has taken so long that nobody shall wait for it."""
    patience = options.skip_wait_for_delete_timeout
    return bool(patience) and pod.terminating and int(pod.overdue) > patience
