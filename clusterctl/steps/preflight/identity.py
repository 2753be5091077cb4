"""Hosts that are copies of one machine. Pure."""

from collections.abc import Callable, Hashable

from clusterctl.model.facts import HostFacts
from clusterctl.model.situation import Situation


def clones(situation: Situation, key: Callable[[HostFacts], Hashable]) -> str:
    """Who else has the same, as the beginning of a sentence; empty when nobody has."""
    mine = key(situation.facts)
    return have(
        sorted(
            name for name, facts in situation.all_facts.items() if name != situation.host.name and key(facts) == mine
        )
    )


def have(names: list[str]) -> str:
    """These hosts as the beginning of a sentence."""
    if not names:
        return ""
    return f"{names[0]} has" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} have"
