"""Names, addresses and networks of a lab; what may be asked of one."""

from ipaddress import IPv4Network

import pytest

from clusterctl.errors import InputError, Refused
from clusterctl.lab.network import Taken
from clusterctl.lab.shape import Machine, Shape, asked_network, choose_network, grown, machines
from tests.lab.builders import NETWORK


def taken(*ranges: str) -> tuple[Taken, ...]:
    """Ranges that some interface uses."""
    return tuple(Taken(IPv4Network(each), "interface eth9") for each in ranges)


def test_machines_have_the_names_and_addresses_of_their_role() -> None:
    """Control planes count from cp1 at .11, workers from w1 at .21."""
    assert machines(NETWORK, 2, 1) == (
        Machine("cp1", "control-plane", "10.77.0.11"),
        Machine("cp2", "control-plane", "10.77.0.12"),
        Machine("w1", "worker", "10.77.0.21"),
    )


def test_most_machines_stay_inside_the_subnet() -> None:
    """The largest lab has an address and a name for everybody."""
    every = machines(NETWORK, 9, 200)

    assert len({machine.address for machine in every}) == 209
    assert all(len(f"cctlffffff-{machine.name}") <= 15 for machine in every)


@pytest.mark.parametrize(
    ("used", "links", "subnet", "bridge"),
    [
        ((), (), "10.77.0.0/24", "cctl0"),
        (("10.77.0.0/24",), (), "10.77.1.0/24", "cctl1"),
        (("10.77.0.0/23", "192.0.2.0/24"), (), "10.77.2.0/24", "cctl2"),
        ((), ("cctl0", "eth0"), "10.77.1.0/24", "cctl1"),
    ],
)
def test_a_lab_gets_the_first_free_network(
    used: tuple[str, ...], links: tuple[str, ...], subnet: str, bridge: str
) -> None:
    """A network is free when neither its addresses nor its bridge are there."""
    network = choose_network(None, taken(*used), links)

    assert (network.subnet, network.bridge) == (subnet, bridge)


def test_a_pool_that_is_taken_is_refused_with_the_reason() -> None:
    """A route over the whole pool leaves no network, and the error names what is in the way."""
    with pytest.raises(Refused) as caught:
        choose_network(None, taken("10.0.0.0/8"), ())

    assert "10.77.0.0/24 overlaps 10.0.0.0/8, which interface eth9 uses" in str(caught.value)
    assert "--subnet" in caught.value.resolution


def test_a_subnet_that_was_asked_for_is_taken_or_refused() -> None:
    """No other network is chosen behind the operator's back."""
    assert choose_network("172.30.5.0/24", (), ()).gateway == "172.30.5.1"
    with pytest.raises(Refused, match=r"172\.30\.5\.0/24 overlaps"):
        choose_network("172.30.5.0/24", taken("172.30.0.0/16"), ())


@pytest.mark.parametrize("subnet", ["10.77.0.0/16", "8.8.8.0/24", "10.77.0.1/24", "lab"])
def test_only_a_private_24_is_a_subnet(subnet: str) -> None:
    """Everything else is bad input."""
    with pytest.raises(InputError, match="is not a"):
        asked_network(subnet)


def test_bridges_of_other_subnets_are_told_apart() -> None:
    """Two subnets with the same third number have different bridges, with names a kernel accepts."""
    one, other = asked_network("172.30.5.0/24"), asked_network("192.168.5.0/24")

    assert one.bridge != other.bridge
    assert len(one.bridge) <= 10


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape(name="Lab"), "'Lab' cannot be the name of a lab"),
        (Shape(name="a" * 21), "cannot be the name of a lab"),
        (Shape(name="../etc"), "cannot be the name of a lab"),
        (Shape(control_planes=0), "a lab cannot have 0 control planes"),
        (Shape(workers=-1), "a lab cannot have -1 workers"),
        (Shape(kubernetes="1.36"), "'1.36' is not a version of Kubernetes"),
        (Shape(kubernetes="latest"), "'latest' is not a version of Kubernetes"),
        (Shape(subnet="10.77.0.0/16"), "10.77.0.0/16 is not a private /24"),
    ],
)
def test_impossible_shapes_are_bad_input(shape: Shape, message: str) -> None:
    """The error says what is wrong and what to give instead."""
    with pytest.raises(InputError) as caught:
        shape.check()

    assert message in caught.value.what
    assert caught.value.resolution


def test_a_lab_grows() -> None:
    """Who is there stays, with name and address, and the new ones come after."""
    present = machines(NETWORK, 1, 1)

    after = grown(Shape(workers=2), NETWORK, present)

    assert [machine.name for machine in after] == ["cp1", "w1", "w2"]
    assert set(present) < set(after)


def test_a_shape_that_was_not_asked_for_stays() -> None:
    """`lab up` without numbers changes nothing in a lab with other numbers than the defaults."""
    present = machines(NETWORK, 3, 5)

    assert grown(Shape(), NETWORK, present) == present


def test_a_lab_does_not_shrink() -> None:
    """Taking machines away is refused, with the command that starts over."""
    with pytest.raises(Refused, match=r"has 2 workers, and `up` takes none away \(1 asked for\)"):
        grown(Shape(workers=1), NETWORK, machines(NETWORK, 1, 2))
