"""How a package repository is made known to apt: its key is pinned, its index is read."""

from clusterctl.model.situation import Situation
from clusterctl.render import Script, script
from clusterctl.steps.os_proxy import environment
from clusterctl.steps.step import File

# What fetching and checking a repository's key takes.
TOOLS = ("ca-certificates", "curl", "gpg")


def add(step: str, situation: Situation, *, key: str, fingerprint: str, keyring: str, source: File) -> Script:
    """The script of ``step``: fetch the key at ``key``, keep the one with ``fingerprint``, write ``source``."""
    return script(
        step,
        environment=environment(situation.cluster),
        key=key,
        fingerprint=fingerprint,
        keyring=keyring,
        file=source,
        missing=tuple(tool for tool in TOOLS if tool not in situation.facts.packages),
    )
