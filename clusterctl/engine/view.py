"""The observed state as the engine holds it: read once, read again when it may have changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from clusterctl.errors import ClusterctlError, KubernetesError, Refused, SeveralErrors
from clusterctl.model.facts import ClusterFacts, HostFacts
from clusterctl.model.inventory import Host, Inventory
from clusterctl.model.places import ADMIN_CONF
from clusterctl.model.situation import Situation

if TYPE_CHECKING:
    from clusterctl.model.pods import Around, PodFacts, Pods, Refusal
    from clusterctl.model.survey import Survey


_BUSY_DEADLINE = 1800.0


class Observer(Protocol):
    """What can read the machines and the API, and change nothing."""

    def look(self, host: Host) -> HostFacts:
        """Probe a host. Raises ConnectError."""

    def look_at_api(self) -> ClusterFacts:
        """Read the cluster through a control plane. Raises KubernetesError or ConnectError."""

    def look_at_pods(self) -> Pods:
        """Read the pods of the cluster and their budgets. Raises KubernetesError or ConnectError."""

    def look_around(self, pods: Pods) -> Around:
        """Read what else a forecast has to know. Raises KubernetesError or ConnectError."""

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """Ask which pods could not be evicted now, and evict none. Raises KubernetesError or ConnectError."""

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """Let the hosts with these facts look at each other. Empty when all of them are nodes already."""

    def reconnect(self, host: Host, deadline: float) -> None:
        """Connect again to a host that was lost, trying for ``deadline`` seconds. Raises ConnectError."""


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> float:
        """Seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


_T = TypeVar("_T")


@dataclass(frozen=True)
class _Seen(Generic[_T]):
    value: _T
    at: float


Say = Callable[[Host, str, float], None]
"""Tells that a host is waited for: the host, why, and for how many seconds already."""


class View:
    """What was last seen of each host and of the API, with its age. Safe to use from several threads."""

    def __init__(self, inventory: Inventory, observer: Observer, clock: Clock, say: Say) -> None:
        self.inventory = inventory
        self._observer = observer
        self._clock = clock
        self._say = say
        self._hosts: dict[str, _Seen[HostFacts]] = {}
        self._changed: set[str] = set()
        self._api: _Seen[tuple[ClusterFacts | None, str]] | None = None
        self._pods: _Seen[tuple[Pods | None, str]] | None = None
        self._surveys: Mapping[str, Survey] | None = None
        self._changed_at = float("-inf")
        self._lock = threading.Lock()
        self._api_lock = threading.Lock()
        self._pods_lock = threading.Lock()
        self._around: _Seen[Around] | None = None
        self._refusals: dict[str, _Seen[Mapping[str, Refusal]]] = {}
        self._ahead_lock = threading.Lock()
        self._survey_lock = threading.Lock()

    def look(self, hosts: Sequence[Host]) -> None:
        """Probe ``hosts`` at once. Raises the error of one, or SeveralErrors with those of all."""
        errors: list[ClusterctlError] = []

        def one(host: Host) -> None:
            try:
                self._look(host)
            except ClusterctlError as error:
                errors.append(error)

        with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
            list(pool.map(one, hosts))
        if errors:
            raise errors[0] if len(errors) == 1 else SeveralErrors(errors)

    def situation(
        self,
        host: Host,
        *,
        api: bool,
        pods: bool = False,
        survey: bool = False,
        max_age: float = float("inf"),
        api_max_age: float = float("inf"),
        others: Sequence[Host] = (),
        others_max_age: float = float("inf"),
    ) -> Situation:
        """What is known of ``host``, read again where it is older than ``max_age`` seconds or a change may touch it.

        ``api`` says that the API is wanted too, not older than ``api_max_age`` seconds, ``pods`` its pods as well;
        without them nothing of the API is known. A host's own facts age by its own changes, what the API says by the
        changes of any host. ``survey`` says that what the hosts find around them is wanted: that is asked once, and
        does not age. ``others`` are hosts that are read again like ``host``, by ``others_max_age``.
        """
        for each, age in ((host, max_age), *((other, others_max_age) for other in others)):
            seen = self._hosts.get(each.name)
            if seen is None or each.name in self._changed or self._clock.now() - seen.at > age:
                self._look(each)
        facts, problem = self._api_facts(api_max_age) if api else (None, "")
        found = None
        if pods and facts:
            found, problem = self._api_pods(api_max_age)
            facts = facts if found else None
        with self._lock:
            known = {name: entry.value for name, entry in self._hosts.items()}
        return Situation(self.inventory, host, known, facts, problem, self._survey(known) if survey else {}, found)

    def look_ahead(self, situation: Situation, *, max_age: float = float("inf")) -> Situation:
        """``situation`` with what a drain of its node would meet, not older than ``max_age`` seconds."""
        if situation.pods is None:
            return situation
        try:
            return replace(situation, pods=self.ahead(situation.pods, [situation.node_name], max_age=max_age))
        except KubernetesError as error:
            return replace(situation, api=None, pods=None, api_problem=error.what)

    def ahead(self, pods: Pods, nodes: Sequence[str], *, max_age: float = float("inf")) -> Pods:
        """``pods`` with what draining these nodes would meet; evictions are asked for their pods alone.

        Raises KubernetesError or ConnectError.
        """
        from clusterctl.rules.forecast import moving  # Only for what drains.

        oldest = self._clock.now() - max_age
        with self._ahead_lock:
            at = self._clock.now()
            if self._around is None or self._is_old(self._around, oldest):
                self._around = _Seen(self._observer.look_around(pods), at)
            unknown = {
                node: moving(pods, node)
                for node in nodes
                if node not in self._refusals or self._is_old(self._refusals[node], oldest)
            }
            if unknown:
                at = self._clock.now()
                found = self._observer.try_evictions([pod for group in unknown.values() for pod in group])
                for node, group in unknown.items():
                    mine = {str(pod): found[str(pod)] for pod in group if str(pod) in found}
                    self._refusals[node] = _Seen(mine, at)
            refusals = {pod: said for node in nodes for pod, said in self._refusals[node].value.items()}
            return replace(pods, around=self._around.value, refusals=refusals)

    def changed(self, hosts: Iterable[str]) -> None:
        """A step changed ``hosts``, given by name, or only the cluster: what was seen of it, and the API said, is old.

        Until somebody looks at a host itself, the others go on with what was seen of it before.
        """
        with self._lock:
            self._changed.update(hosts)
            self._changed_at = self._clock.now()

    def reconnect(self, host: Host, deadline: float) -> None:
        """Connect again to ``host`` within ``deadline`` seconds. Raises ConnectError."""
        self._observer.reconnect(host, deadline)

    def _look(self, host: Host) -> None:
        began = self._clock.now()
        while True:
            at = self._clock.now()
            facts = self._observer.look(host)
            if not facts.busy:
                break
            waited = self._clock.now() - began
            if waited > _BUSY_DEADLINE:
                raise Refused(
                    f"{host.name}: {facts.busy} of an earlier run is still running after {waited:.0f} s",
                    resolution=f"look at it on {host.name}: sudo cat /run/clusterctl/log; then run the command again",
                )
            self._say(host, f"{facts.busy} of an earlier run is still running", waited)
            self._clock.sleep(1.0)
        with self._lock:
            self._hosts[host.name] = _Seen(facts, at)
            self._changed.discard(host.name)

    def _survey(self, known: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        with self._survey_lock:
            if self._surveys is None:
                self._surveys = self._observer.survey(known)
            return self._surveys

    def _api_facts(self, max_age: float) -> tuple[ClusterFacts | None, str]:
        oldest = self._clock.now() - max_age
        with self._api_lock:
            # Hosts that wait side by side share what one of them read after they asked.
            if self._api is None or self._is_old(self._api, oldest):
                at = self._clock.now()
                self._api = _Seen(self._read_api(), at)
            return self._api.value

    def _api_pods(self, max_age: float) -> tuple[Pods | None, str]:
        oldest = self._clock.now() - max_age
        with self._pods_lock:
            if self._pods is None or self._is_old(self._pods, oldest):
                at = self._clock.now()
                self._pods = _Seen(self._read_pods(), at)
            return self._pods.value

    def _is_old(self, seen: _Seen[_T], oldest: float) -> bool:
        return seen.at <= self._changed_at or seen.at < oldest

    def _read_pods(self) -> tuple[Pods | None, str]:
        try:
            return self._observer.look_at_pods(), ""
        except KubernetesError as error:
            return None, error.what

    def _read_api(self) -> tuple[ClusterFacts | None, str]:
        if not self._there_is_a_cluster():
            return None, "there is no cluster yet"
        try:
            return self._observer.look_at_api(), ""
        except KubernetesError as error:
            return None, error.what

    def _there_is_a_cluster(self) -> bool:
        """Whether a control plane has an administrator's kubeconfig; those that never answered are not asked."""
        planes = self.inventory.control_planes
        for host in [host for host in planes if host.name in self._hosts] or planes[:1]:
            if host.name not in self._hosts or host.name in self._changed:
                self._look(host)
            if ADMIN_CONF in self._hosts[host.name].value.paths:
                return True
        return False
