"""containerd: installed, configured by its own version, running with that configuration."""

from collections.abc import Mapping
from typing import Any

import tomli_w
from packaging.version import InvalidVersion, Version

from clusterctl.model.inventory import Registry
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import File, ScriptStep

CONFIG = "/etc/containerd/config.toml"
_CERTS = "/etc/containerd/certs.d"
SERVICE = "containerd.service"
# Older releases lack what the CRI of the supported Kubernetes versions asks for.
_OLDEST = Version("1.7")
_Table = Mapping[str, Any]


def registry_file(registry: str) -> str:
    """Where containerd looks for the settings of ``registry`` (its ``config_path`` layout)."""
    return f"{_CERTS}/{registry}/hosts.toml"


class Containerd(ScriptStep):
    """containerd is installed. A version that is there already stays."""

    name = "runtime/containerd"
    title = "Install containerd"

    def check(self, situation: Situation) -> Verdict:
        """The program itself, wherever it came from."""
        version = situation.facts.containerd_version
        if not version:
            return Needed("containerd is not installed")
        if _parse(version) < _OLDEST:
            return Blocked(
                f"containerd {version} is too old; Kubernetes {situation.cluster.minor} needs {_OLDEST} or newer",
                "install a newer containerd, for example containerd.io from Docker's repository",
            )
        return Satisfied(f"containerd {version}")

    def script(self, situation: Situation) -> Script:
        """Install the distribution's package."""
        return script(self.name)


class Config(ScriptStep):
    """containerd runs with the wanted settings and registries."""

    name = "runtime/config"
    title = "Configure containerd"

    def check(self, situation: Situation) -> Verdict:
        """The files' text, and that containerd started after they were written."""
        facts = situation.facts
        if not facts.containerd_version or not facts.images:
            return Unknown("the versions of containerd and kubeadm that will be installed decide the settings")
        different = [file.path for file in self.files(situation) if facts.file(file.path) != file.content]
        if different:
            return Needed(f"{', '.join(different)} differs from what is wanted")
        service = facts.services.get(SERVICE)
        if service is None or service.active != "active":
            return Needed("containerd is not running")
        if facts.containerd_config != "loaded":
            return Needed("containerd started before its configuration was written")
        if service.enabled != "enabled":
            return Needed("containerd does not start at boot")
        return Satisfied("running with the wanted settings")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """config.toml, and one hosts.toml for each registry of the inventory."""
        facts, cluster = situation.facts, situation.cluster
        pause = next((image for image in facts.images if "/pause:" in image), "")
        config = containerd_config(
            facts.containerd_version, pause, runtime=cluster.containerd.runtime, images=cluster.containerd.images
        )
        registries = cluster.sources.registries.items()
        return (
            File(CONFIG, config),
            *(File(registry_file(name), hosts_toml(name, registry)) for name, registry in registries),
        )

    def script(self, situation: Situation) -> Script:
        """Write the files, restart containerd."""
        return script(self.name, files=self.files(situation))


def containerd_config(version: str, pause: str, *, runtime: _Table, images: _Table) -> str:
    """The configuration for containerd ``version``: format 3 since 2.0, format 2 before.

    ``pause`` is the sandbox image; ``runtime`` and ``images`` are merged over clusterctl's settings, in the
    names of format 3, most of which format 2 shares. (containerd docs/cri/config.md)
    """
    runc = {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}
    if _parse(version) >= Version("2.0"):
        runtime_defaults: _Table = {
            "cni": {"bin_dirs": ["/opt/cni/bin"], "conf_dir": "/etc/cni/net.d"},
            "containerd": {"runtimes": {"runc": runc}},
        }
        images_defaults: _Table = {"pinned_images": {"sandbox": pause}, "registry": {"config_path": _CERTS}}
        plugins = {
            "io.containerd.cri.v1.images": merge(images_defaults, images),
            "io.containerd.cri.v1.runtime": merge(runtime_defaults, runtime),
        }
        return tomli_w.dumps({"version": 3, "plugins": plugins})
    defaults: _Table = {
        "sandbox_image": pause,
        "cni": {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
        "containerd": {"runtimes": {"runc": runc}},
        "registry": {"config_path": _CERTS},
    }
    cri = merge(merge(defaults, images), runtime)
    return tomli_w.dumps({"version": 2, "plugins": {"io.containerd.grpc.v1.cri": cri}})


def hosts_toml(name: str, registry: Registry) -> str:
    """containerd's hosts.toml for the registry ``name``. (containerd docs/hosts.md)"""
    scheme = "http" if registry.http else "https"
    upstream = "https://registry-1.docker.io" if name == "docker.io" else f"{scheme}://{name}"
    hosts = {mirror: {"capabilities": ["pull", "resolve"]} for mirror in registry.mirrors}
    return tomli_w.dumps({"server": upstream, **({"host": hosts} if hosts else {})})


def merge(under: _Table, over: _Table) -> dict[str, Any]:
    """Both tables as one; where both have a value, tables are merged and ``over`` wins otherwise."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _parse(version: str) -> Version:
    """A version such as ``1.7.24`` or ``1.6.20~ds1``; what cannot be read counts as new."""
    try:
        return Version(version.partition("~")[0].partition("+")[0])
    except InvalidVersion:
        return Version("9999")
