"""The facts of a host as an operator reads them, and as JSON values."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from clusterctl.model.facts import HostFacts
from clusterctl.model.inventory import Host
from clusterctl.report.style import styled
from clusterctl.report.tables import table


def facts_json(facts: HostFacts) -> dict[str, Any]:
    """The facts as JSON values; sets are sorted.

    The digests of secret files stay here: a weak password can be guessed from one.
    """
    return {item.name: _json(getattr(facts, item.name)) for item in fields(facts) if item.name != "digests"}


def _json(value: object) -> object:
    if is_dataclass(value):
        return {item.name: _json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(_json(item) for item in value)  # type: ignore[type-var]
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return value


def facts_text(host: Host, facts: HostFacts) -> str:
    """The facts in a dozen lines."""
    head = styled(f"{host.name}  {host.address}  {host.role}", bold=True)
    return "\n".join([head, *(f"  {line}" for line in table(list(_rows(facts))))])


def _rows(facts: HostFacts) -> Iterator[tuple[str, str]]:
    yield "host name", facts.hostname
    yield "system", f"{facts.os_name}, {facts.architecture}, Linux {facts.kernel}, cgroup {facts.cgroup}"
    yield "machine", f"{facts.cpus} CPUs, {facts.memory_mib} MiB memory, id {facts.machine_id}"
    yield "addresses", " ".join(facts.addresses) or "none"
    yield "swap", " ".join(facts.swaps) or "none"
    yield "modules", " ".join(sorted(facts.modules)) or "none of those wanted"
    for key, value in sorted(facts.sysctls.items()):
        yield "sysctl", f"{key} = {value}"
    for name, package in sorted(facts.packages.items()):
        notes = ("held",) * package.held + ("half-installed",) * (not package.intact)
        yield "package", " ".join([name, package.version, *notes])
    for name, service in sorted(facts.services.items()):
        yield "service", " ".join(part for part in (name, service.active, service.enabled) if part)
    if facts.containerd_version:
        yield "containerd", " ".join(part for part in (facts.containerd_version, facts.containerd_config) if part)
    for port, process in sorted(facts.listeners.items()):
        yield "port", f"{port} {process}".rstrip()
    for path in sorted(facts.paths | set(facts.files)):
        yield "file", path
    if facts.images:
        yield "images", " ".join(facts.images)
    if facts.dpkg_problem:
        yield "dpkg", facts.dpkg_problem
    if facts.available is not None:
        yield "available", " ".join(facts.available) or "nothing"
    if facts.available_problem:
        yield "available", f"cannot be read: {facts.available_problem}"
    if facts.busy:
        yield "busy", facts.busy
