"""What containerd knows of image registries: a folder each, read at every pull. (containerd docs/hosts.md)"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import tomli_w

from clusterctl.model.facts import HostFacts
from clusterctl.model.inventory.sources import Registry, Sources
from clusterctl.model.places import ca_file, hosts_file
from clusterctl.model.secret import Secret
from clusterctl.steps.step import File


def guarded(sources: Sources) -> tuple[str, ...]:
    """The registries whose file holds a password: their own, or that of a mirror."""
    return tuple(
        name
        for name, registry in sources.registries.items()
        if registry.password or any(sources.host(mirror).password for mirror in registry.mirrors)
    )


def files(sources: Sources) -> tuple[File, ...]:
    """Certificates of authorities, and each registry's file that holds no password."""
    secret = guarded(sources)
    return (
        *(File(ca_file(name), each.ca_file.content) for name, each in sources.registries.items() if each.ca_file),
        *(File(hosts_file(name), hosts_toml(name, sources)) for name in sources.registries if name not in secret),
    )


def with_password(registry: str, sources: Sources) -> Secret:
    """The file of a registry that holds a password. Raises InputError when the password cannot be read."""
    return Secret(hosts_toml(registry, sources))


def different(sources: Sources, facts: HostFacts) -> list[str]:
    """The files with passwords that are not as wanted; the host tells their digests alone."""
    wanted = {hosts_file(name): with_password(name, sources).reveal() for name in guarded(sources)}
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in wanted.items()}
    return [path for path, digest in digests.items() if path in facts.files or facts.digests.get(path) != digest]


def hosts_toml(name: str, sources: Sources) -> str:
    """containerd's hosts.toml for the registry ``name``: its mirrors, then itself, each with its own settings."""
    registry = sources.registries[name]
    scheme = "http" if registry.http else "https"
    upstream = "https://registry-1.docker.io" if name == "docker.io" else f"{scheme}://{name}"
    mirrors = {mirror: _mirror(mirror, sources) for mirror in registry.mirrors}
    own = _settings(name, registry)
    return tomli_w.dumps({"server": upstream, **own, **({"host": mirrors} if mirrors else {})})


def _mirror(address: str, sources: Sources) -> Mapping[str, Any]:
    # A path that names the API's version already is taken as it is.
    path = {"override_path": True} if "/v2/" in f"{address}/" else {}
    name = address.partition("://")[2].partition("/")[0]
    return {"capabilities": ["pull", "resolve"], **path, **_settings(name, sources.host(address))}


def _settings(name: str, registry: Registry) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if registry.ca_file:
        settings["ca"] = ca_file(name)
    if registry.skip_verify:
        settings["skip_verify"] = True
    if registry.username and registry.password:
        password = registry.password.read(f"the password of {registry.username} at {name}").reveal()
        pair = Secret(base64.b64encode(f"{registry.username}:{password}".encode()).decode())
        settings["header"] = {"Authorization": f"Basic {pair.reveal()}"}
    return settings
