"""What a run measures while it goes: whether the API endpoint answers, and whatever ``--probe`` names."""

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from clusterctl.engine.availability import Watch
from clusterctl.engine.events import Publish
from clusterctl.errors import InputError
from clusterctl.model.inventory import Host
from clusterctl.remote.asking import Page, Tunnel, page
from clusterctl.rules.membership import authority
from clusterctl.session.session import Session

_SERVICE = "svc/"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is asked during a run; ``ask`` is Watch's."""

    name: str
    ask: Callable[[], bool]


def targets(session: Session, probes: Sequence[str]) -> tuple[Target, ...]:
    """The API endpoint and what ``probes`` name, each with the way to it. Raises InputError for one that is nothing.

    What answers from here is asked from here, else through an SSH connection to a host that is up; services always
    are.
    """
    endpoint = _endpoint(session)
    return (
        *((_asked(session, f"API endpoint {session.inventory.cluster.endpoint}", endpoint),) if endpoint else ()),
        *(_target(session, probe) for probe in probes),
    )


def watching(found: Sequence[Target], publish: Publish) -> ExitStack:
    """Watch the targets until the end of a ``with`` block; what is seen goes to ``publish``."""
    stack = ExitStack()
    for target in found:
        stack.enter_context(Watch(target.name, target.ask, publish))
    return stack


def _endpoint(session: Session) -> Page | None:
    """``GET /version``, which everybody may read; None while there is no cluster."""
    import ssl

    planes = [host for host in session.inventory.control_planes if host.name not in session.unreached]
    known = authority(session.view.situation(planes[0], api=False)) if planes else None
    if known is None:
        return None
    host, _, port = session.inventory.cluster.endpoint.rpartition(":")
    return Page(host.strip("[]"), int(port), "/version", ssl.create_default_context(cadata=known))


def _target(session: Session, probe: str) -> Target:
    if probe.startswith(_SERVICE):
        return _service(session, probe)
    try:
        return _asked(session, probe, page(probe))
    except ValueError as error:
        raise InputError(
            f"--probe: {probe!r} is neither an address nor a service",
            resolution="write it as http://…, https://… or svc/NAMESPACE/NAME, with :PORT where the first is not meant",
        ) from error


def _asked(session: Session, name: str, what: Page) -> Target:
    return Target(name, what.directly) if what.reached() else _through(session, name, what)


def _service(session: Session, probe: str) -> Target:
    words = probe.removeprefix(_SERVICE).split("/")
    name, _, port = words[-1].partition(":")
    if len(words) != 2 or not all((words[0], name)) or (port and not port.isdecimal()):
        raise InputError(f"--probe: {probe!r} is no service", resolution="write it as svc/NAMESPACE/NAME[:PORT]")
    address, ports = session.api().service(words[0], name)
    return _through(session, probe, Page(str(ipaddress.ip_address(address)), int(port) if port else ports[0]))


def _through(session: Session, name: str, what: Page) -> Target:
    """Workers first: they are many. Where there are spares workers may be replaced meanwhile, and come last."""
    replaced = len(session.inventory.nodes) < len(session.inventory.hosts)
    hosts = sorted(session.inventory.nodes, key=lambda host: (host.role == "worker") == replaced)
    tunnels: dict[str, Tunnel] = {}

    def way(host: Host) -> Callable[[], Tunnel]:
        def open_() -> Tunnel:
            if host.name not in tunnels:
                tunnels[host.name] = session.tunnel(host, what.host, what.port)
            return tunnels[host.name]

        return open_

    ways = [way(host) for host in hosts if host.name not in session.unreached]
    return Target(name, lambda: what.through(ways))
