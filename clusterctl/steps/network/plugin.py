"""What the steps of all network plugins have in common."""

from clusterctl.model.facts import ClusterFacts
from clusterctl.model.inventory import Source
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict


def no_api(situation: Situation) -> Verdict:
    """What a plugin's step says while the API cannot be asked."""
    return Unknown(situation.api_problem) if situation.api_silent else Needed("there is no cluster yet")


def not_chosen(situation: Situation) -> Satisfied:
    """What the step of a plugin says that the inventory does not choose."""
    plugin = situation.cluster.network.plugin
    return Satisfied(f"the inventory chooses {'its own manifests' if plugin == 'manifests' else plugin}")


def sources_digest(*sources: Source) -> str:
    """What tells the manifests of these sources from others; of one source it is the text's own digest."""
    digests = [f"sha256:{source.sha256}" for source in sources]
    return digests[0] if len(digests) == 1 else manifest_digest("\n".join(digests))


def named(sources: tuple[Source, ...]) -> str:
    """What an operator reads of manifests that are fetched when they are applied."""
    return "".join(f"# kubectl apply --server-side --filename {it}\n# sha256 {it.sha256}\n" for it in sources)


def not_applied(api: ClusterFacts, name: str, digest: str) -> str:
    """Why the manifests that ``name`` records are not the wanted ones, or nothing."""
    record = api.applied.get(name)
    if record is None:
        return "not applied yet"
    if not record.digest:
        return "an earlier apply did not come to its end"
    return "" if record.digest == digest else "the manifest that was applied differs from what is wanted"
