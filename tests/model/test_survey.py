"""What the survey prints becomes values, or an error that says so."""

import pytest

from clusterctl.errors import ClusterctlError
from clusterctl.model.facts import ClockFact, clock_of
from clusterctl.model.survey import (
    EndpointFact,
    Fsync,
    Listening,
    Survey,
    Way,
    parse_listening,
    parse_survey,
)

WHOLE = """\
registry\tregistry.k8s.io\t
tcp\tcp1\t6443\t\tcp1\t0\t0
udp\tcp1\t8472\tno answer\t\t0\t1500
endpoint\t192.0.2.11\t6443\tConnection refused\t\t0\t0
fsync\t100\t0.52\t3.10
registry\tghcr.io\thttps://ghcr.io: curl: (6) Could not resolve host
asked-endpoint
end
"""


def test_a_whole_answer() -> None:
    """Each line arrives in its field; the registries' lines come whenever they are ready."""
    assert parse_survey(WHOLE) == Survey(
        ways=(Way("cp1", "tcp", 6443, "", "cp1"), Way("cp1", "udp", 8472, "no answer", "", 0, 1500)),
        endpoint=(EndpointFact("192.0.2.11", "Connection refused"),),
        registries=(("registry.k8s.io", ""), ("ghcr.io", "https://ghcr.io: curl: (6) Could not resolve host")),
        fsync=Fsync(100, 0.52, 3.1),
    )


def test_an_endpoint_that_was_not_asked_differs_from_one_without_an_address() -> None:
    """None, or nothing found."""
    assert parse_survey("end\n").endpoint is None
    assert parse_survey("asked-endpoint\nend\n").endpoint == ()


@pytest.mark.parametrize("text", ["", WHOLE[:40], WHOLE.removesuffix("end\n"), "tcp\tcp1\tx\nend\n"])
def test_an_answer_that_is_cut_is_an_error(text: str) -> None:
    """Half an answer is never taken for all of it."""
    with pytest.raises(ClusterctlError):
        parse_survey(text)


def test_listeners() -> None:
    """The ports that could be held, and the process that does."""
    text = "bound\ttcp/6443\nheld\ttcp/10250\tAddress already in use\npid\t42\n"

    assert parse_listening(text) == Listening(42, frozenset({"tcp/6443"}))
    with pytest.raises(ClusterctlError):
        parse_listening("perl: cannot\n")


def test_the_clock_is_bounded_by_when_we_asked_and_when_the_answer_came() -> None:
    """What the probe itself takes adds no doubt; what the way takes does."""
    text = "@@ clock\n1010.5\n@@ hostname\nw1\n@@ clock\n1011.5\n@@ end\n"

    assert clock_of(text, sent=1000.0, received=1002.0) == ClockFact(10.0, 0.5)
    assert clock_of("@@ clock\nnonsense\n", 1.0, 2.0) is None
    assert clock_of("@@ clock\n1010.5\n", 1.0, 2.0) is None
