"""The real API through a tunnel to a control plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from clusterctl.errors import KubernetesError
from clusterctl.model.facts import ClusterFacts
from clusterctl.remote.tunnel import Tunnel
from clusterctl.steps.step import ClusterApi

if TYPE_CHECKING:
    from clusterctl.kube.connect.client import Kube
    from clusterctl.kube.verify.verify import VerifyResult
    from clusterctl.model.pods import Around, PodFacts, Pods, Refusal


_SERVER_ERROR = 500
_T = TypeVar("_T")


class TunnelledApi:
    """The API behind a tunnel; both are closed together."""

    def __init__(self, tunnel: Tunnel, kube: Kube) -> None:
        self._tunnel = tunnel
        self.kube = kube

    def answers(self) -> bool:
        """Whether the API server says that it is ready. One that refuses to tell answers as well."""
        try:
            self.kube.text("/readyz", patience=0.0)
        except KubernetesError as error:
            return error.status is not None and error.status < _SERVER_ERROR
        return True

    def observe(self) -> ClusterFacts:
        """Read the cluster."""
        from clusterctl.kube.observe.cluster import observe

        return self._read(observe)

    def pods(self) -> Pods:
        """Read the pods of the cluster and their budgets."""
        from clusterctl.kube.observe.pods import read_pods

        return self._read(read_pods)

    def around(self, pods: Pods) -> Around:
        """Read what else a forecast has to know."""
        from clusterctl.kube.observe.evictions import look_around

        return self._read(lambda kube: look_around(kube, pods.pods))

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """Ask which pods could not be evicted now, and evict none."""
        from clusterctl.kube.observe.evictions import try_evictions

        return self._read(lambda kube: try_evictions(kube, pods))

    def _read(self, read: Callable[[Kube], _T]) -> _T:
        """Read through the tunnel. One that cannot reach the API server tells why."""
        try:
            return read(self.kube)
        except KubernetesError as error:
            if error.status is None and self._tunnel.problem:
                error.details = "\n".join(filter(None, [error.details, self._tunnel.problem.what]))
            raise

    def changes(self) -> ClusterApi:
        """What can change the cluster."""
        from clusterctl.kube.change.changes import Changes

        return Changes(self.kube)

    def service(self, namespace: str, name: str) -> tuple[str, tuple[int, ...]]:
        """Where a service is."""
        from clusterctl.kube.observe.cluster import service

        return service(self.kube, namespace, name)

    def verify(
        self,
        report: Callable[[str], None],
        *,
        image: str,
        deadline: float,
        keep: bool,
        quick: bool,
        version: str,
        nodes: Sequence[str],
    ) -> VerifyResult:
        """Use the cluster, and say what was seen."""
        from clusterctl.kube.verify.verify import verify

        return verify(
            self.kube,
            report,
            image=image,
            deadline=deadline,
            keep=keep,
            quick=quick,
            version=version,
            nodes=nodes,
        )

    def close(self) -> None:
        """Close the client, then its tunnel."""
        self.kube.close()
        self._tunnel.close()
