"""Drain a node: kubectl's algorithm, watched, with a deadline that names what is in the way.

Where it differs from kubectl, it does so to be safe to ask again: every eviction names the pod's UID, so that it can
never meet a successor of the same name. A lost answer, or an API server that fails for a while because it is
starting, is therefore asked again. docs/drain.md has the rules side by side.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from clusterctl.errors import KubernetesError, NotVerified, OutcomeUnknown, Refused
from clusterctl.kube.connect.client import PATIENCE, Kube, Object
from clusterctl.kube.connect.errors import ApiError
from clusterctl.kube.observe.evictions import refusal
from clusterctl.kube.observe.pods import overdue, read_budgets, read_pods
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Budget, PodFacts, Pods
from clusterctl.model.words import count
from clusterctl.rules.drain import Fatal, is_given_up, leaving
from clusterctl.rules.forecast import blocks

_POLL = 1.0  # How often, in seconds, is looked which pods are left.
_RETRY = 5.0  # After how many seconds a refused eviction is asked again.
_SILENCE = 120.0  # For how many seconds an API server may fail: it may be starting with its host.
_AT_ONCE = 4  # Evictions under way; others use the connection at the same time.
_TOO_MANY = 429
_SHOWN = 3


@dataclass
class _Going:
    """A pod on its way out. ``agreed`` is set when the API server has; until then ``refusal`` says why it does not.

    ``trouble`` is what went wrong when it was asked the last time and will be asked again, ``failure`` what is final.
    """

    pod: PodFacts
    ask_at: float = 0.0
    asking: Future[None] | None = None
    agreed: bool = False
    refusal: ApiError | None = None
    refused_since: float | None = None
    trouble: str = ""
    failing_since: float | None = None
    failure: str = ""


class Drain:
    """One drain of one node, which has been cordoned before."""

    def __init__(
        self,
        kube: Kube,
        node: str,
        options: DrainOptions,
        say: Callable[[str], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._kube = kube
        self._node = node
        self._options = options
        self._say = say
        self._stopping = stopping
        self._left: dict[str, _Going] = {}
        self._budgets: tuple[Budget, ...] = ()
        self._budgets_at = float("-inf")
        self._silence = ""
        self._silent_since: float | None = None

    def run(self) -> bool:
        """Let the pods go, and wait until they are gone or ``stopping`` says so. Whether all are gone.

        Raises Refused before anything is evicted, NotVerified past the deadline, KubernetesError when the API refuses.
        """
        pods = read_pods(self._kube, self._node, patience=_SILENCE)
        going = leaving(pods, self._node, self._options)
        if going.fatal:
            raise _refused(self._node, going.fatal)
        self._budgets = pods.budgets
        self._left = {pod.uid: _Going(pod) for pod in going.evicted}
        began = time.monotonic()
        pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="evict")
        try:
            while self._left and not self._stopping():
                now = time.monotonic()
                self._ask(pool, now)
                self._look(now)
                if all(each.failure for each in self._left.values()):
                    break
                if self._options.timeout and now - began >= self._options.timeout:
                    raise self._late(now - began)
                self._say(self._progress(now))
                time.sleep(_POLL)
        finally:
            # What is being asked at this moment ends by itself; nobody waits for it.
            pool.shutdown(wait=False, cancel_futures=True)
        failed = [each for each in self._left.values() if each.failure]
        if failed:
            raise KubernetesError(
                f"{self._node}: {count(len(failed), 'pod')} cannot be evicted",
                details="\n".join(self._explain(each) for each in failed),
                resolution=f"{self._node} stays cordoned; correct what the API server names and run the same command "
                f"again, or let pods come back: clusterctl uncordon {self._node}",
            )
        return not self._left

    def _ask(self, pool: ThreadPoolExecutor, now: float) -> None:
        """Take in the answers that have come, and ask whoever's time it is."""
        for each in self._left.values():
            if each.asking and each.asking.done():
                asking, each.asking = each.asking, None
                try:
                    asking.result()
                    self._agreed(each)
                except OutcomeUnknown as error:
                    self._try_again(each, error, now)
                except ApiError as error:
                    self._judge(each, error, now)
        for each in self._left.values():
            if not (each.asking or each.agreed or each.failure) and now >= each.ask_at:
                each.asking = pool.submit(self._evict, each.pod)

    def _evict(self, pod: PodFacts) -> None:
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        options: Object = {"preconditions": {"uid": pod.uid}}
        if self._options.grace_period >= 0:
            options["gracePeriodSeconds"] = self._options.grace_period
        if self._options.disable_eviction:
            self._kube.delete(path, {"apiVersion": "v1", "kind": "DeleteOptions", **options})
            return
        metadata = {"name": pod.name, "namespace": pod.namespace}
        self._kube.create(
            f"{path}/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options},
        )

    def _judge(self, each: _Going, error: ApiError, now: float) -> None:
        """What an answer other than yes means, as kubectl takes it."""
        namespace_ends = error.status == 403 and "NamespaceTerminating" in error.cause_types
        if error.status == 404 or (namespace_ends and each.pod.terminating):
            self._agreed(each)  # It is going, or gone: the next look tells.
        elif error.status in (_TOO_MANY, 409) or namespace_ends:
            # A conflict: the pod was changed meanwhile, or it is another one by now, which the next look tells.
            each.refusal, each.trouble, each.failing_since = error, "", None
            each.refused_since = each.refused_since or now
            each.ask_at = now + max(_RETRY, error.retry_after)
        elif len(self._covering(each.pod)) > 1 or not error.temporary:
            each.failure = error.message or error.what
        else:
            self._try_again(each, error, now)

    def _agreed(self, each: _Going) -> None:
        each.agreed, each.refusal, each.trouble = True, None, ""

    def _try_again(self, each: _Going, error: ApiError | OutcomeUnknown, now: float) -> None:
        """The API server failed, and may be well again in a moment."""
        patience = PATIENCE if isinstance(error, ApiError) and error.status == 403 else _SILENCE
        each.refusal, each.trouble = None, error.what
        each.failing_since = each.failing_since or now
        each.ask_at = now + _POLL
        if now - each.failing_since > patience:
            each.failure = "; ".join(filter(None, (error.what, error.details)))

    def _look(self, now: float) -> None:
        """Forget the pods that are gone, that have a successor, or that are not to be waited for any longer."""
        query = {"fieldSelector": f"spec.nodeName={self._node}"}
        try:
            items = self._kube.items("/api/v1/pods", query, patience=0.0, metadata=True)
            if any(each.refusal for each in self._left.values()) and now >= self._budgets_at + _RETRY:
                self._budgets, self._budgets_at = read_budgets(self._kube, patience=0.0), now
        except ApiError as error:
            self._silent_since = self._silent_since or now
            if not error.temporary or now - self._silent_since > _SILENCE:
                raise
            self._silence = error.what
            return
        self._silent_since = None
        found = {item["metadata"]["uid"]: item["metadata"] for item in items}
        self._left = {uid: each for uid, each in self._left.items() if uid in found}
        for uid, each in list(self._left.items()):
            late = overdue(found[uid], datetime.now(UTC))
            each.pod = replace(each.pod, terminating=late is not None, overdue=late or 0.0)
            if is_given_up(each.pod, self._options):
                del self._left[uid]

    def _covering(self, pod: PodFacts) -> list[Budget]:
        return [budget for budget in self._budgets if budget.covers(pod)]

    def _progress(self, now: float) -> str:
        """What is waited for, budgets first."""
        if self._silent_since is not None:
            return f"{self._silence}, for {_clock(now - self._silent_since)}"
        held: dict[str, float] = {}
        going = []
        for each in self._left.values():
            if each.refusal:
                what = self._held_by(each) or each.refusal.message or each.refusal.what
                held[what] = min(held.get(what, now), each.refused_since or now)
            elif not each.failure:
                going.append(str(each.pod))
        lines = [f"waiting for {what}, {_clock(now - since)}" for what, since in held.items()]
        if going:
            more = f" and {len(going) - _SHOWN} more" if len(going) > _SHOWN else ""
            lines.append(f"leaving: {', '.join(going[:_SHOWN])}{more}")
        return "; ".join(lines)

    def _held_by(self, each: _Going) -> str:
        """The budgets that hold a pod, with their numbers."""
        return " and ".join(
            f"PDB {budget} ({budget.current_healthy} of {budget.expected_pods} available)"
            for budget in self._covering(each.pod)
        )

    def _explain(self, each: _Going) -> str:
        """Why a pod is still there."""
        budgets = self._covering(each.pod)
        if each.failure:
            names = f" ({', '.join(f'PDB {budget}' for budget in budgets)})" if len(budgets) > 1 else ""
            return f"{each.pod}: {each.failure}{names}"
        if each.refusal is None:
            return f"{each.pod}: {each.trouble or ('is terminating' if each.pod.terminating else 'was asked to leave')}"
        numbers = "; ".join(_numbers(budget) for budget in budgets)
        return f"{each.pod}: {numbers or each.refusal.message or each.refusal.what}"

    def _late(self, seconds: float) -> NotVerified:
        """The error past the deadline: which pods are left, what holds them, and what to do about that."""
        details, remedies = [self._explain(each) for each in self._left.values()], list[str]()
        refused = {str(each.pod): each.refusal for each in self._left.values() if each.refusal}
        with suppress(KubernetesError):  # The deadline is what is told; this only explains it.
            pods = read_pods(self._kube) if refused else Pods()
            answers = {name: told for name, error in refused.items() if (told := refusal(error))}
            details += self._missed(pods)
            remedies = [block.remedy for block in blocks(replace(pods, refusals=answers), self._node, self._options)]
        way_out = "; or ".join(dict.fromkeys(remedies)) or "mend what is in the way"
        return NotVerified(
            f"{self._node}: {count(len(self._left), 'pod')} still there after {_clock(seconds)}",
            details="\n".join(details),
            resolution=f"{self._node} stays cordoned; {way_out}; then run the same command again, or let pods come "
            f"back: clusterctl uncordon {self._node}",
        )

    def _missed(self, pods: Pods) -> Iterator[str]:
        """What keeps the budgets that hold a pod from having enough: pods of theirs, anywhere, that are not ready."""
        refused = [each.pod for each in self._left.values() if each.refusal]
        held = {str(budget): budget for pod in refused for budget in self._covering(pod)}
        for budget in held.values():
            for pod in pods.pods:
                if pod.problem and budget.covers(pod):
                    yield f"PDB {budget} misses {pod}: {pod.problem}"


def _numbers(budget: Budget) -> str:
    """What a budget counts."""
    if not budget.up_to_date:
        return f"PDB {budget} was changed and its controller has not counted since"
    return (
        f"PDB {budget} allows {budget.disruptions_allowed or 'no'} eviction: {budget.current_healthy} of "
        f"{budget.expected_pods} available, {budget.desired_healthy} needed"
    )


def _refused(node: str, fatal: Sequence[Fatal]) -> Refused:
    return Refused(
        f"{node} is not drained: {count(len(fatal), 'pod')} may not be deleted",
        details="\n".join(f"{each.pod} {each.reason}" for each in fatal),
        resolution="nothing was evicted; look after these pods, or say so in cluster.drain: "
        + "; ".join(dict.fromkeys(each.remedy for each in fatal)),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
