"""Who joins and who leaves, from what is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.errors import Refused
from clusterctl.rules.surge import Link, Member, chain
from clusterctl.rules.versions import at_least

OLDER, OLD, NEW = "1.34.4", "1.35.4", "1.36.3"
W1, W2, W3 = Member("w1", OLD), Member("w2", OLD), Member("w3")


def new(name: str) -> Member:
    """A worker that is through."""
    return Member(name, NEW)


CASES: dict[str, tuple[tuple[Member, ...], int, list[str]]] = {
    "each takes the place of the next": ((W1, W2, W3), 2, ["+w3", "-w1", "+w1", "-w2"]),
    "one worker": ((W1, W3), 1, ["+w3", "-w1"]),
    "spares take turns": ((W1, W2, W3, Member("w4")), 2, ["+w3", "-w1", "+w4", "-w2"]),
    "the oldest goes first": ((W1, Member("w2", OLDER), W3), 2, ["+w3", "-w2", "+w2", "-w1"]),
    "one that is through stays": ((new("w1"), W2, W3), 2, ["+w3", "-w2"]),
    "nothing is left": ((new("w1"), Member("w2"), new("w3")), 2, []),
    "the spare has joined": ((W1, W2, new("w3")), 2, ["-w1", "+w1", "-w2"]),
    "one is being drained": ((W1, Member("w2", OLD, leaving=True), new("w3")), 2, ["-w2", "+w2", "-w1"]),
    "a node is gone and its host not clean": (
        (Member("w1", used=True), W2, new("w3")),
        2,
        ["+w1", "-w2"],
    ),
    "the last one is not clean": ((new("w1"), Member("w2", used=True), new("w3")), 2, ["-w2"]),
    "a spare that is lost is left out": (
        (W1, W2, Member("w3", problem="off"), Member("w4")),
        2,
        ["+w4", "-w1", "+w1", "-w2"],
    ),
    "a worker that is missing joins as well": ((W1, Member("w2"), W3), 2, ["+w2", "+w3", "-w1"]),
    "no workers at all": ((Member("w3"),), 0, []),
}


def words(links: tuple[Link, ...]) -> list[str]:
    """A sign and a name for each."""
    return [f"{'+' if link.joins else '-'}{link.host}" for link in links]


@pytest.mark.parametrize(("pool", "workers", "wanted"), CASES.values(), ids=CASES)
def test_the_chain(pool: tuple[Member, ...], workers: int, wanted: list[str]) -> None:
    """A plus joins, a minus leaves."""
    assert words(chain(pool, workers, NEW)) == wanted


@pytest.mark.parametrize(
    ("pool", "says"), [((W1, W2), ""), ((W1, W2, Member("w3", problem="w3 does not answer")), "w3: w3 does not answer")]
)
def test_without_a_spare_it_says_what_to_do(pool: tuple[Member, ...], says: str) -> None:
    """Also which one cannot be reached."""
    with pytest.raises(Refused, match="no spare is at hand") as refused:
        chain(pool, 2, NEW)

    assert refused.value.details == says
    assert "role: spare" in refused.value.resolution


HOSTS = st.lists(
    st.builds(
        Member,
        st.just(""),
        st.sampled_from(["", "", OLDER, OLD, NEW, "1.37.0"]),
        leaving=st.booleans(),
        used=st.booleans(),
    ),
    min_size=1,
    max_size=7,
)


@given(HOSTS, st.integers(1, 5))
def test_enough_workers_are_there_at_any_time(found: list[Member], workers: int) -> None:
    """Nobody leaves before enough others are there, nor who is newer; at the end nobody is old, and all are clean."""
    pool = [
        Member(
            f"w{number}", each.kubelet, leaving=bool(each.kubelet) and each.leaving, used=each.used and not each.kubelet
        )
        for number, each in enumerate(found)
    ]
    there = {each.host: each.kubelet for each in pool if each.kubelet}
    used = {each.host for each in pool if each.used}
    try:
        links = chain(pool, workers, NEW)
    except Refused:
        assert len(pool) <= workers
        return
    for link in links:
        if link.joins:
            assert link.host not in there
            there[link.host] = NEW
        else:
            version = there.pop(link.host, "")
            assert not at_least(version, NEW)
            assert not version or len(there) >= workers
        used.discard(link.host)
    assert all(at_least(version, NEW) for version in there.values())
    assert not used
    assert len({(link.host, link.joins) for link in links}) == len(links)
