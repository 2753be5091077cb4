"""containerd: installed, configured by its own version, running with that configuration."""

from collections.abc import Mapping
from typing import Any

import tomli_w
from packaging.version import InvalidVersion, Version

from clusterctl.model.situation import Situation
from clusterctl.model.sources import ContainerdSource
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps import os_proxy
from clusterctl.steps import runtime_registries as registries
from clusterctl.steps.repository import add
from clusterctl.steps.step import File, ScriptStep, Tools

CONFIG = "/etc/containerd/config.toml"
PROXY = "/etc/systemd/system/containerd.service.d/90-clusterctl-proxy.conf"
SOURCE = "/etc/apt/sources.list.d/clusterctl-containerd.list"
KEYRING = "/etc/apt/keyrings/clusterctl-containerd.asc"
SERVICE = "containerd.service"
_HANDED = "/run/clusterctl/registries"
_DOCKER = "https://download.docker.com/linux"
# Docker Release (CE deb) <docker@docker.com>
_DOCKER_FINGERPRINT = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
# Older releases lack what the CRI of the supported Kubernetes versions asks for.
_OLDEST = Version("1.7")
_Table = Mapping[str, Any]


class Repository(ScriptStep):
    """apt knows the repository that containerd comes from, signed by the expected key."""

    name = "runtime/repository"
    title = "Add containerd's package repository"

    def check(self, situation: Situation) -> Verdict:
        """The source list's text and the keyring."""
        facts, files = situation.facts, self.files(situation)
        if not files:
            if SOURCE in facts.files:
                return Needed(f"{SOURCE} names a repository, and the distribution's packages are wanted")
            return Satisfied("the distribution's packages are wanted")
        if not facts.os_codename and not situation.cluster.sources.containerd.suite:
            return Blocked(
                "/etc/os-release has no VERSION_CODENAME, by which Docker's repository is divided",
                "name the suite: cluster.sources.containerd.suite",
            )
        if facts.file(SOURCE) != files[0].content:
            return Needed(f"{SOURCE} does not name the repository")
        if KEYRING not in facts.paths:
            return Needed(f"{KEYRING} is missing")
        return Satisfied("the repository is configured")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The source list."""
        source, facts = situation.cluster.sources.containerd, situation.facts
        if source.packages == "distribution":
            return ()
        words = [_url(source, facts.os_id)]
        if source.packages == "docker":
            words += [source.suite or facts.os_codename, *(source.components or ("stable",))]
        else:
            words += [source.suite or "/", *source.components]
        return (File(SOURCE, f"deb [signed-by={KEYRING}] {' '.join(words)}\n"),)

    def script(self, situation: Situation) -> Script:
        """Fetch the key, keep the one with the expected fingerprint, write the list, read the repository's index."""
        source, files = situation.cluster.sources.containerd, self.files(situation)
        if not files:
            return script(self.name, file=None, unwanted=(SOURCE, KEYRING))
        url = _url(source, situation.facts.os_id)
        return add(
            self.name,
            situation,
            key=source.key or f"{url}/{'gpg' if source.packages == 'docker' else 'Release.key'}",
            fingerprint=source.key_fingerprint or _DOCKER_FINGERPRINT,
            keyring=KEYRING,
            source=files[0],
        )


def _url(source: ContainerdSource, os_id: str) -> str:
    return f"{source.url or _DOCKER}/{os_id}" if source.packages == "docker" else source.url or ""


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
        """Install the package."""
        source = situation.cluster.sources.containerd
        package = source.package or ("containerd" if source.packages == "distribution" else "containerd.io")
        return script(self.name, environment=os_proxy.environment(situation.cluster), package=package)


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
        different += registries.different(situation.cluster.sources, facts)
        if situation.cluster.proxy is None and PROXY in facts.files:
            different.append(PROXY)
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
        """config.toml first, then the proxy, and what has no secret of each registry of the inventory."""
        facts, cluster = situation.facts, situation.cluster
        pause = next((image for image in facts.images if "/pause:" in image), "")
        config = containerd_config(
            facts.containerd_version, pause, runtime=cluster.containerd.runtime, images=cluster.containerd.images
        )
        return (File(CONFIG, config), *_proxy(situation), *registries.files(cluster.sources))

    def script(self, situation: Situation) -> Script:
        """Write the files, restart containerd."""
        return script(
            self.name,
            files=self.files(situation),
            handed=_HANDED,
            secrets=[(name, registries.hosts_file(name)) for name in registries.guarded(situation.cluster.sources)],
            unwanted=() if situation.cluster.proxy else (PROXY,),
        )

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Hand passwords over through standard input, then run the script, which puts them in their place."""
        sources = situation.cluster.sources
        for name in registries.guarded(sources):
            tools.machine.put_secret(f"{_HANDED}/{name}", registries.with_password(name, sources))
        super().apply(situation, tools)


def _proxy(situation: Situation) -> tuple[File, ...]:
    """systemd's drop-in with the variables that containerd reads."""
    variables = os_proxy.environment(situation.cluster)
    if not variables:
        return ()
    words = " ".join(f'"{name}={value}"' for name, value in variables.items() if name.isupper())
    return (File(PROXY, f"[Service]\nEnvironment={words}\n"),)


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
        images_defaults: _Table = {"pinned_images": {"sandbox": pause}, "registry": {"config_path": registries.CERTS}}
        plugins = {
            "io.containerd.cri.v1.images": merge(images_defaults, images),
            "io.containerd.cri.v1.runtime": merge(runtime_defaults, runtime),
        }
        return tomli_w.dumps({"version": 3, "plugins": plugins})
    defaults: _Table = {
        "sandbox_image": pause,
        "cni": {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
        "containerd": {"runtimes": {"runc": runc}},
        "registry": {"config_path": registries.CERTS},
    }
    cri = merge(merge(defaults, images), runtime)
    return tomli_w.dumps({"version": 2, "plugins": {"io.containerd.grpc.v1.cri": cri}})


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
