"""How a package repository is made known to apt: its key is pinned, its index is read."""

from clusterctl.model.places import KUBERNETES_KEYRING, KUBERNETES_SOURCE, REPOSITORY_TOOLS
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules.packages import repository_url
from clusterctl.rules.proxy import environment
from clusterctl.steps.step import File, ScriptStep


class KubernetesRepository(ScriptStep):
    """apt knows the repository of the wanted minor version, signed by the expected key."""

    def check(self, situation: Situation) -> Verdict:
        """The source list's text and the keyring."""
        facts = situation.facts
        if facts.file(KUBERNETES_SOURCE) != self.files(situation)[0].content:
            return Needed(f"{KUBERNETES_SOURCE} does not name the repository of {situation.cluster.minor}")
        if KUBERNETES_KEYRING not in facts.paths:
            return Needed(f"{KUBERNETES_KEYRING} is missing")
        return Satisfied(f"the repository of {situation.cluster.minor} is configured")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The source list."""
        return (File(KUBERNETES_SOURCE, f"deb [signed-by={KUBERNETES_KEYRING}] {repository_url(situation)}/ /\n"),)

    def script(self, situation: Situation) -> Script:
        """Fetch the key, keep the one with the expected fingerprint, write the list, read the repository's index."""
        return add(
            self.name,
            situation,
            key=f"{repository_url(situation)}/Release.key",
            fingerprint=situation.cluster.sources.packages_key_fingerprint,
            keyring=KUBERNETES_KEYRING,
            source=self.files(situation)[0],
        )


def add(step: str, situation: Situation, *, key: str, fingerprint: str, keyring: str, source: File) -> Script:
    """The script of ``step``: fetch the key at ``key``, keep the one with ``fingerprint``, write ``source``."""
    return script(
        step,
        environment=environment(situation.cluster),
        key=key,
        fingerprint=fingerprint,
        keyring=keyring,
        file=source,
        missing=tuple(tool for tool in REPOSITORY_TOOLS if tool not in situation.facts.packages),
    )
