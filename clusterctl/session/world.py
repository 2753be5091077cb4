"""The outside as a session sees it: machines, the API, tunnels, the lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from clusterctl.errors import ClusterctlError
from clusterctl.model.facts import ClusterFacts, HostFacts
from clusterctl.model.inventory import Host, Inventory, Source
from clusterctl.model.secret import Secret
from clusterctl.steps.step import ClusterApi, Machine

if TYPE_CHECKING:
    from clusterctl.model.pods import Around, PodFacts, Pods, Refusal
    from clusterctl.model.survey import Survey
    from clusterctl.report.checks import Checks


class Api(Protocol):
    """A connection to the cluster's API. Its methods raise KubernetesError."""

    def answers(self) -> bool:
        """Whether the API server at the other end is ready; asked once, without patience."""

    def observe(self) -> ClusterFacts:
        """Read the cluster."""

    def pods(self) -> Pods:
        """Read the pods of the cluster and their budgets."""

    def around(self, pods: Pods) -> Around:
        """Read what else a forecast has to know."""

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """Ask which pods could not be evicted now, and evict none."""

    def changes(self) -> ClusterApi:
        """What can change the cluster."""

    def service(self, namespace: str, name: str) -> tuple[str, tuple[int, ...]]:
        """The address of a service inside the cluster, and its ports. Raises InputError when it has none."""

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
    ) -> Checks:
        """Use the cluster, and say what was seen; ``report`` is told what goes on."""

    def close(self) -> None:
        """Close the connection and what it goes through."""


class Hold(Protocol):
    """The operator's lock, while it is ours."""

    @property
    def alive(self) -> bool:
        """Whether, as far as we know, the lock is still ours."""

    def close(self) -> None:
        """Give it back."""


class Tunnel(Protocol):
    """A local port that leads, through a host, to a port that the host reaches; ``problem`` is why it last did not."""

    port: int
    problem: ClusterctlError | None

    @property
    def alive(self) -> bool:
        """Whether, as far as we know, the host is reached."""

    def close(self) -> None:
        """Close the port and what goes through it."""


class World(Protocol):
    """The machines and the API as they are reached from here. Its methods raise ConnectError."""

    def connect(self, host: Host) -> None:
        """Connect to a host, unless that is done already."""

    def reconnect(self, host: Host, deadline: float) -> None:
        """Connect again to a host that was lost, trying for ``deadline`` seconds."""

    def look(self, host: Host) -> HostFacts:
        """Probe a host."""

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """Let the hosts look at each other, unless all are nodes already; one that cannot be asked says why."""

    def machine(self, host: Host) -> Machine:
        """What can change a host."""

    def execute(
        self,
        host: Host,
        command: str,
        *,
        root: bool,
        out: Callable[[bytes], object],
        err: Callable[[bytes], object],
    ) -> int:
        """Run a command of the operator's own; what it prints goes to ``out`` and ``err``. Returns its exit status.

        Raises OutcomeUnknown when nobody can say how it ended, and what ``out`` and ``err`` raise.
        """

    def glance(self, host: Host) -> str:
        """The last line that the script in hand on a host has written. Raises ClusterctlError."""

    def hold(self, host: Host, *, run: str, operator: str, command: str) -> Hold:
        """Take the operator's lock on a host. Raises Refused, with who holds it, when it is not free."""

    def tunnel(self, host: Host, address: str, port: int) -> Tunnel:
        """A local port that leads to ``address`` and ``port`` as the host reaches them."""

    def admin_conf(self, host: Host) -> Secret:
        """The administrator's kubeconfig, read on a control plane. Raises KubernetesError when there is none."""

    def aim(self, inventory: Inventory) -> None:
        """Look from now on at what matters for ``inventory``, which has the same hosts."""

    def versions(self, host: Host, minors: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """The versions of these minors in the package source, as ``host`` sees it, and why some cannot be read."""

    def fetch(self, source: Source) -> str:
        """Read a manifest. Raises ClusterctlError when it cannot be had, or is another one than its digest says."""

    def connect_api(self, host: Host, admin_conf: Secret) -> Api:
        """Connect to the API through a control plane. Raises KubernetesError."""

    def close(self) -> None:
        """Close every connection."""
