"""The real machines over SSH, and the real API through a tunnel to a control plane.

What speaks to the API is imported where there is one: most calls begin before there is a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from clusterctl import render
from clusterctl.errors import CommandFailed, KubernetesError
from clusterctl.model.facts import HostFacts
from clusterctl.model.inventory import Host, Inventory, Source
from clusterctl.model.places import ADMIN_CONF
from clusterctl.model.secret import Secret
from clusterctl.remote import probe
from clusterctl.remote.ahead import begin
from clusterctl.remote.connection import Connection
from clusterctl.remote.download import Downloads
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.hold import Hold, hold
from clusterctl.remote.tunnel import Tunnel
from clusterctl.rules.packages import repository
from clusterctl.rules.probed import probe_values
from clusterctl.rules.proxy import environment
from clusterctl.session.tunnelled import TunnelledApi
from clusterctl.steps.step import Machine

if TYPE_CHECKING:
    from clusterctl.model.survey import Survey
    from clusterctl.session.world import Api


class Machines:
    """The hosts of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._values = probe_values(fleet.inventory)
        self._begun: dict[str, Future[HostFacts]] = {}
        self._downloads = Downloads()

    def begin_to_look(self, connecting: Mapping[str, Future[Connection]]) -> None:
        """Look at each host as soon as it is connected to. ``look`` tells what was seen, once."""
        script = render.probe(**self._values)

        def look(connection: Future[Connection]) -> HostFacts:
            return probe.look(connection.result(), script)

        self._begun = {name: begin(partial(look, each), f"look at {name}") for name, each in connecting.items()}

    def connect(self, host: Host) -> None:
        """Connect and log in, unless that is so already."""
        self._fleet.connection(host)

    def reconnect(self, host: Host, deadline: float) -> None:
        """Connect again, trying for ``deadline`` seconds."""
        self._fleet.reconnect(host, deadline)

    def look(self, host: Host) -> HostFacts:
        """Run the probe, unless that was begun."""
        if begun := self._begun.pop(host.name, None):
            return begun.result()
        return probe.look(self._fleet.connection(host), render.probe(**self._values))

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """Listeners on all hosts, then questions from those that are to join, then the end of the listeners."""
        from clusterctl.remote.survey import survey
        from clusterctl.rules import surveying

        inventory = self._fleet.inventory
        listening = surveying.listening(inventory, facts)
        connections = {host.name: self._fleet.connection(host) for host in inventory.hosts if host.name in listening}
        return survey(connections, listening, lambda bound: surveying.asking(inventory, facts, bound))

    def machine(self, host: Host) -> Machine:
        """The connection: it can change the host."""
        return self._fleet.connection(host)

    def execute(
        self,
        host: Host,
        command: str,
        *,
        root: bool,
        out: Callable[[bytes], object],
        err: Callable[[bytes], object],
    ) -> int:
        """Run a command of the operator's own."""
        return self._fleet.connection(host).execute(command, root=root, out=out, err=err)

    def glance(self, host: Host) -> str:
        """The last line in the log of the host's script."""
        return self._fleet.connection(host).read(render.reader("glance")).strip()

    def hold(self, host: Host, *, run: str, operator: str, command: str) -> Hold:
        """Take the operator's lock."""
        return hold(self._fleet.connection(host), run=run, operator=operator, command=command)

    def tunnel(self, host: Host, address: str, port: int) -> Tunnel:
        """A tunnel through the host's connection, whatever becomes of that."""
        return Tunnel(self._fleet.connection(host), address, port)

    def admin_conf(self, host: Host) -> Secret:
        """Read the administrator's kubeconfig."""
        try:
            return self._fleet.connection(host).fetch(ADMIN_CONF)
        except CommandFailed as error:
            raise KubernetesError(
                f"{host.name}: there is no cluster: {ADMIN_CONF} cannot be read",
                details=error.details,
                resolution="make the cluster first: clusterctl bootstrap",
            ) from error

    def aim(self, inventory: Inventory) -> None:
        """Let the probe look at what matters for ``inventory``."""
        self._values = probe_values(inventory)
        self._begun.clear()

    def versions(self, host: Host, minors: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """Read the repositories' lists on the host, which goes through its proxy."""
        cluster = self._fleet.inventory.cluster
        script = render.reader(
            "versions",
            repositories=[repository(cluster.sources.packages, minor) for minor in minors],
            environment=tuple(environment(cluster).items()),
        )
        said = self._fleet.connection(host).read(script).splitlines()
        problems = [line.removeprefix("! ") for line in said if line.startswith("! ")]
        return tuple(line.partition("-")[0] for line in said if not line.startswith("! ")), "\n".join(problems)

    def fetch(self, source: Source) -> str:
        """Read a manifest, from a file or the internet."""
        return self._downloads.fetch(source)

    def connect_api(self, host: Host, admin_conf: Secret) -> Api:
        """Open a tunnel through ``host``, and a client that speaks through it."""
        from clusterctl.kube.connect.client import Kube

        tunnel = Tunnel(self._fleet.connection(host))
        try:
            return TunnelledApi(tunnel, Kube(admin_conf, tunnel_port=tunnel.port))
        except BaseException:
            tunnel.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._fleet.close()
