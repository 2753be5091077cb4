"""Configure containerd."""

from clusterctl.model import places
from clusterctl.model.places import CONTAINERD_CONFIG, CONTAINERD_PROXY, CONTAINERD_SERVICE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.steps.runtime import registries
from clusterctl.steps.runtime.containerd_config import containerd_config
from clusterctl.steps.step import File, ScriptStep, Tools

_HANDED = "/run/clusterctl/registries"


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
        if situation.cluster.proxy is None and CONTAINERD_PROXY in facts.files:
            different.append(CONTAINERD_PROXY)
        if different:
            return Needed(f"{', '.join(different)} differs from what is wanted")
        service = facts.services.get(CONTAINERD_SERVICE)
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
        return (File(CONTAINERD_CONFIG, config), *_proxy(situation), *registries.files(cluster.sources))

    def script(self, situation: Situation) -> Script:
        """Write the files, restart containerd."""
        return script(
            self.name,
            files=self.files(situation),
            handed=_HANDED,
            secrets=[(name, places.hosts_file(name)) for name in registries.guarded(situation.cluster.sources)],
            unwanted=() if situation.cluster.proxy else (CONTAINERD_PROXY,),
        )

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Hand passwords over through standard input, then run the script, which puts them in their place."""
        sources = situation.cluster.sources
        for name in registries.guarded(sources):
            tools.machine.put_secret(f"{_HANDED}/{name}", registries.with_password(name, sources))
        super().apply(situation, tools)


def _proxy(situation: Situation) -> tuple[File, ...]:
    """systemd's drop-in with the variables that containerd reads."""
    variables = proxy.environment(situation.cluster)
    if not variables:
        return ()
    words = " ".join(f'"{name}={value}"' for name, value in variables.items() if name.isupper())
    return (File(CONTAINERD_PROXY, f"[Service]\nEnvironment={words}\n"),)
