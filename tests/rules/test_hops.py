"""The way between versions: every minor, what was begun first, never back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.errors import ClusterctlError, InputError, Refused
from clusterctl.rules.hops import Hop, Running, hops, unknown_minors
from clusterctl.rules.versions import minor, parse

KNOWN = ("1.33.9", "1.34.4", "1.34.10", "1.35.4", "1.35.9", "1.36.0", "1.36.3")


def running(
    *planes: str, cluster: str = "", workers: tuple[str, ...] = (), kubelets: tuple[str, ...] | None = None
) -> Running:
    """Control planes of one version each, with the oldest one's kubelets; workers by what kubeadm brought them to."""
    cps = {f"cp{number}": (version,) for number, version in enumerate(planes, 1)}
    ws = {f"w{number}": version for number, version in enumerate(workers, 1)}
    versions = dict(zip(ws, kubelets, strict=True)) if kubelets else ws
    lowest = min(planes, key=parse)
    return Running(cps, cluster or lowest, {**dict.fromkeys(cps, lowest), **versions}, ws)


CASES = {
    "nothing to do is one hop": (running("1.36.3", workers=("1.36.3",)), "1.36.3", ["1.36.3"]),
    "a patch goes straight": (running("1.35.4", workers=("1.35.4",)), "1.35.9", ["1.35.9"]),
    "one minor": (running("1.35.4", workers=("1.35.4",)), "1.36.3", ["1.36.3"]),
    "the newest of a minor": (running("1.35.4"), "1.36", ["1.36.3"]),
    "minors are never skipped": (
        running("1.34.4", workers=("1.34.4", "1.34.4")),
        "1.36.3",
        ["1.35.9 without kubelets", "1.36.3"],
    ),
    "numbers, not letters": (running("1.33.9"), "1.35.4", ["1.34.10 without kubelets", "1.35.4"]),
    "a begun hop is finished first": (
        running("1.35.4", "1.34.4", workers=("1.34.4",)),
        "1.36.3",
        ["1.35.4 without kubelets", "1.36.3"],
    ),
    "kubeadm's configuration tells of one as well": (
        running("1.34.4", "1.34.4", cluster="1.35.4"),
        "1.36.3",
        ["1.35.4 without kubelets", "1.36.3"],
    ),
    "a begun patch too": (running("1.36.0", "1.35.4", "1.35.4"), "1.36.3", ["1.36.0 without kubelets", "1.36.3"]),
    "a begun hop to the target": (running("1.36.3", "1.35.4"), "1.36.3", ["1.36.3"]),
    "components of one host may differ": (
        Running({"cp1": ("1.35.4", "1.34.4", "1.34.4")}, "1.34.4"),
        "1.36.3",
        ["1.35.4 without kubelets", "1.36.3"],
    ),
    "a worker that lags behind brings a hop back": (
        running("1.36.3", workers=("1.36.3", "1.34.4")),
        "1.36.3",
        ["1.35.9 without kubelets", "1.36.3"],
    ),
    "one that kubeadm passed does not": (
        running("1.36.3", workers=("1.35.9",), kubelets=("1.34.4",)),
        "1.36.3",
        ["1.36.3"],
    ),
    "kubelets come along before they are too old": (
        running("1.33.9", workers=("1.33.9",), kubelets=("1.32.1",)),
        "1.36.3",
        ["1.34.10 without kubelets", "1.35.9", "1.36.3"],
    ),
    "kubelets newer than their API server are finished": (
        running("1.35.4", workers=("1.36.3",), kubelets=("1.36.3",)),
        "1.36.3",
        ["1.36.3"],
    ),
}


def words(found: tuple[Hop, ...]) -> list[str]:
    """Hops as the table writes them."""
    return [hop.version if hop.kubelets else f"{hop.version} without kubelets" for hop in found]


@pytest.mark.parametrize("case", CASES)
def test_the_way(case: str) -> None:
    """Each row is a cluster, a target, and the hops that lead there."""
    found, to, expected = CASES[case]

    assert words(hops(found, to, known=KNOWN)) == expected


def test_kubelets_come_along_at_every_hop_when_that_is_asked_for() -> None:
    """--workers every-hop."""
    assert words(hops(running("1.34.4", workers=("1.34.4",)), "1.36.3", known=KNOWN, every=True)) == [
        "1.35.9",
        "1.36.3",
    ]


def test_a_version_in_between_may_be_named() -> None:
    """It needs no source then; one that an earlier run has passed is no mistake."""
    assert words(hops(running("1.34.4"), "1.36.3", via=["1.35.4"])) == ["1.35.4 without kubelets", "1.36.3"]
    assert words(hops(running("1.35.4"), "1.36.3", via=["1.35.4"])) == ["1.36.3"]


@pytest.mark.parametrize("via", ["1.36.1", "1.37.0", "1.35"])
def test_a_version_beside_the_way_is_a_mistake(via: str) -> None:
    """As is a minor alone: the newest of a minor needs no naming."""
    with pytest.raises(InputError, match=f"--via {via} is not on the way"):
        hops(running("1.34.4"), "1.36.3", via=[via], known=KNOWN)


@pytest.mark.parametrize(("to", "missing"), [("1.37.0", "1.36"), ("1.37", "1.37")])
def test_a_minor_that_the_source_lacks_is_named(to: str, missing: str) -> None:
    """With what to do about it."""
    with pytest.raises(InputError, match=f"no version of Kubernetes {missing}, ") as caught:
        hops(running("1.35.4"), to, known=("1.35.4",))

    assert "--via" in caught.value.resolution


REFUSED = {
    "an older target": (running("1.36.3"), "1.35.9", "cannot go back"),
    "an older patch": (running("1.36.3"), "1.36.0", "cannot go back"),
    "older than a begun hop": (running("1.36.3", "1.35.4"), "1.36.0", "cannot go back"),
    "newer kubelets": (running("1.35.4", workers=("1.36.3",)), "1.35.9", "the kubelet of w1 is newer"),
    "two minors apart": (running("1.36.3", "1.34.4"), "1.36.3", "one minor apart"),
    "another major": (running("1.36.3"), "2.0.1", "no way"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_no_way_leads_back_or_over_a_gap(case: str) -> None:
    """Each is refused with what helps."""
    found, to, match = REFUSED[case]

    with pytest.raises(Refused, match=match) as caught:
        hops(found, to, known=KNOWN)

    assert caught.value.resolution


def test_kubelets_ahead_are_told_where_to_go() -> None:
    """The way out is forward."""
    with pytest.raises(Refused) as caught:
        hops(running("1.35.4", workers=("1.36.3",)), "1.35.9")

    assert caught.value.resolution == "finish the upgrade: --to 1.36.3 or newer"


def test_only_minors_whose_version_is_open_are_asked_for() -> None:
    """Not those that --via names, nor the target's when it is a version."""
    found = running("1.33.9", workers=("1.33.9",))

    assert unknown_minors(found, "1.36.3", ["1.35.4"]) == ("1.34",)
    assert unknown_minors(found, "1.36", ["1.35.4", "1.34.4"]) == ("1.36",)
    assert unknown_minors(running("1.35.4"), "1.36.3", []) == ()


VERSIONS = st.sampled_from(KNOWN)


@given(st.lists(VERSIONS, min_size=1, max_size=3), st.lists(VERSIONS, max_size=3), VERSIONS)
def test_every_way_climbs_minor_by_minor(planes: list[str], workers: list[str], to: str) -> None:
    """From whatever runs: versions only grow, control planes and kubeadm on workers never skip a minor."""
    found = running(*planes, workers=tuple(workers))
    try:
        way = [hop.version for hop in hops(found, to, known=KNOWN)]
    except ClusterctlError:
        return

    assert way[-1] == to
    assert way == sorted(way, key=parse)
    for level in [min(planes, key=parse), *workers]:
        for version in way:
            if parse(version) > parse(level):
                assert minor(version)[1] - minor(level)[1] <= 1
                level = version
