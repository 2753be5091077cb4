"""The way to the API: connected to when it is first asked for, and again when that connection broke."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from clusterctl.errors import ClusterctlError, ConnectError, KubernetesError
from clusterctl.model.inventory import Host
from clusterctl.session.world import Api, World

_T = TypeVar("_T")


class Link:
    """The API of a cluster through the first of its control planes whose API server answers. Safe for threads.

    ``planes`` gives the control planes in the order in which they are tried.
    """

    def __init__(self, world: World, planes: Callable[[], Sequence[Host]]) -> None:
        self._world = world
        self._planes = planes
        self._api: Api | None = None
        self._through: Host | None = None
        self._lock = threading.RLock()

    def api(self) -> Api:
        """The connection, made when it is first asked for. Raises KubernetesError or ConnectError."""
        with self._lock:
            if self._api is None:
                self._through, self._api = self.on_a_control_plane(self._connect)
            return self._api

    def read(self, read: Callable[[Api], _T]) -> _T:
        """Read through the API. An old connection that gives no answer is made anew, once."""
        with self._lock:
            old = self._api is not None
        try:
            return self._read_once(read)
        except (KubernetesError, ConnectError) as error:
            if not old or getattr(error, "status", None) is not None:
                raise
        return self._read_once(read)

    def on_a_control_plane(self, act: Callable[[Host], _T]) -> _T:
        """What ``act`` gives on the first control plane where it does not fail.

        When all fail: the error of one that cannot be reached says more than that the others have no cluster.
        """
        errors: list[ClusterctlError] = []
        for host in self._planes():
            try:
                self._world.connect(host)
                return act(host)
            except (KubernetesError, ConnectError) as error:
                errors.append(error)
        raise next((error for error in errors if isinstance(error, ConnectError)), errors[0])

    def lost(self, host: Host) -> None:
        """The connection to ``host`` broke: what went through it is given up."""
        if host == self._through:
            self.close()

    def close(self) -> None:
        """Close the connection; the next one who asks gets a new one."""
        with self._lock:
            api, self._api = self._api, None
        if api is not None:
            api.close()

    def _connect(self, host: Host) -> tuple[Host, Api]:
        api = self._world.connect_api(host, self._world.admin_conf(host))
        # The only one is waited for by whoever reads through it.
        if len(self._planes()) == 1 or api.answers():
            return host, api
        api.close()
        raise KubernetesError(
            f"{host.name}: the API server does not answer",
            resolution=f"look at it: ssh {host.address} sudo systemctl status kubelet",
        )

    def _read_once(self, read: Callable[[Api], _T]) -> _T:
        try:
            return read(self.api())
        except (KubernetesError, ConnectError) as error:
            if getattr(error, "status", None) is None:
                self.close()
            raise
