"""Add containerd's package repository."""

from clusterctl.model.inventory.sources import ContainerdSource
from clusterctl.model.places import CONTAINERD_KEYRING, CONTAINERD_SOURCE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.repository import add
from clusterctl.steps.step import File, ScriptStep

_DOCKER = "https://download.docker.com/linux"
# Docker Release (CE deb) <docker@docker.com>
_DOCKER_FINGERPRINT = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"


class Repository(ScriptStep):
    """apt knows the repository that containerd comes from, signed by the expected key."""

    name = "runtime/repository"
    title = "Add containerd's package repository"

    def check(self, situation: Situation) -> Verdict:
        """The source list's text and the keyring."""
        facts, files = situation.facts, self.files(situation)
        if not files:
            if CONTAINERD_SOURCE in facts.files:
                return Needed(f"{CONTAINERD_SOURCE} names a repository, and the distribution's packages are wanted")
            return Satisfied("the distribution's packages are wanted")
        if not facts.os_codename and not situation.cluster.sources.containerd.suite:
            return Blocked(
                "/etc/os-release has no VERSION_CODENAME, by which Docker's repository is divided",
                "name the suite: cluster.sources.containerd.suite",
            )
        if facts.file(CONTAINERD_SOURCE) != files[0].content:
            return Needed(f"{CONTAINERD_SOURCE} does not name the repository")
        if CONTAINERD_KEYRING not in facts.paths:
            return Needed(f"{CONTAINERD_KEYRING} is missing")
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
        return (File(CONTAINERD_SOURCE, f"deb [signed-by={CONTAINERD_KEYRING}] {' '.join(words)}\n"),)

    def script(self, situation: Situation) -> Script:
        """Fetch the key, keep the one with the expected fingerprint, write the list, read the repository's index."""
        source, files = situation.cluster.sources.containerd, self.files(situation)
        if not files:
            return script(self.name, file=None, unwanted=(CONTAINERD_SOURCE, CONTAINERD_KEYRING))
        url = _url(source, situation.facts.os_id)
        return add(
            self.name,
            situation,
            key=source.key or f"{url}/{'gpg' if source.packages == 'docker' else 'Release.key'}",
            fingerprint=source.key_fingerprint or _DOCKER_FINGERPRINT,
            keyring=CONTAINERD_KEYRING,
            source=files[0],
        )


def _url(source: ContainerdSource, os_id: str) -> str:
    return f"{source.url or _DOCKER}/{os_id}" if source.packages == "docker" else source.url or ""
