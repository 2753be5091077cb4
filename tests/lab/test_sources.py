"""Which sources a lab uses, and what is said about it."""

import pytest

from clusterctl.errors import ConnectError, InputError
from clusterctl.lab import sources
from clusterctl.lab.build import Building, Built, Noted
from clusterctl.lab.progress import Told, Working
from clusterctl.lab.sources import Answer, decide, parse_versions, translated

PACKAGES = """\
Package: kubeadm
Architecture: amd64
Version: 1.36.2-1.1

Package: kubeadm
Version: 1.36.10-1.1

Package: kubelet
Version: 1.36.11-1.1
"""


def answering(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    """Let the official sources say this."""
    monkeypatch.setattr(sources, "ask_official", lambda kubernetes: answer)


def told(events: list[Working | Told]) -> str:
    """The lines that stay."""
    return "\n".join(event.text for event in events if isinstance(event, Told))


def test_versions_are_those_of_kubeadm_newest_first() -> None:
    """Other packages do not count, and numbers are compared as numbers."""
    assert parse_versions(PACKAGES) == ("1.36.10", "1.36.2")


def test_auto_takes_the_official_sources_when_they_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice is told."""
    answering(monkeypatch, Answer(versions=("1.36.3",)))
    events: list[Working | Told] = []

    assert decide("auto", "1.36.3", events.append) == "official"
    assert "sources: official" in told(events)


def test_auto_takes_modules_when_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice is told with the reason."""
    answering(monkeypatch, Answer(problem="no route to host"))
    events: list[Working | Told] = []

    assert decide("auto", "1.36.3", events.append) == "modules"
    assert "sources: modules (the official ones do not answer: no route to host)" in told(events)


def test_official_sources_that_do_not_answer_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for them by name gets no others."""
    answering(monkeypatch, Answer(problem="timed out"))

    with pytest.raises(ConnectError, match="the official sources do not answer: timed out"):
        decide("official", "1.36.3", lambda event: None)


@pytest.mark.parametrize("asked", ["official", "auto"])
def test_an_unknown_official_version_is_told_with_those_that_exist(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """The choice is between the versions of the same minor."""
    answering(monkeypatch, Answer(versions=("1.36.10", "1.36.2")))

    with pytest.raises(InputError) as caught:
        decide("official" if asked == "official" else "auto", "1.36.99", lambda event: None)

    assert "choose one of these: 1.36.10, 1.36.2" in caught.value.resolution


def test_an_unknown_version_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names those that can; nobody is asked over the network."""
    monkeypatch.delattr(sources, "ask_official")

    with pytest.raises(InputError) as caught:
        decide("modules", "1.12.0", lambda event: None)

    assert "1.36.3" in caught.value.resolution


def test_the_progress_of_a_build_becomes_that_of_the_lab() -> None:
    """What is built, what remains and how long it may take."""
    assert translated(Building("kubelet", 2, 5, 10.0, 90.0)) == Working("building kubelet", "3 of 5 items remain", 90.0)
    assert translated(Built("kubelet", 3, 5, 61.2)) == Told("built kubelet in 61 s (3 of 5)")
    assert translated(Noted("etcd", "3.6.8 stands in for 3.6.6")) == Told("etcd: 3.6.8 stands in for 3.6.6")
