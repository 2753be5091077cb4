"""What follows from inventory and facts together."""

import pytest

from clusterctl.model.inventory import parse_inventory
from clusterctl.model.situation import node_address
from tests.builders import make_facts

INVENTORY = """\
cluster: {{name: x, kubernetes: 1.36.3, endpoint: 'x:6443', pod_cidr: {pods}, service_cidr: {services}}}
hosts: [{{name: cp1, address: '{address}', role: control-plane{more}}}]
"""
FOUR, SIX = ("10.10.0.0/16", "10.96.0.0/12"), ("fd01::/56", "fd02::/112")


@pytest.mark.parametrize(
    ("networks", "address", "more", "expected"),
    [
        (FOUR, "192.0.2.11", "", "192.0.2.11"),
        (FOUR, "10.0.0.11", "", "10.0.0.11"),
        (FOUR, "cp1.example", "", "192.0.2.11"),
        (FOUR, "fd00::11", "", "192.0.2.11"),
        (FOUR, "198.51.100.7", "", "192.0.2.11"),
        (FOUR, "fd00::11", ", internal_address: 10.0.0.11", "10.0.0.11"),
        (SIX, "fd00::11", "", "fd00::11"),
        (SIX, "192.0.2.11", "", "fd00::11"),
        (SIX, "FD00:0::11", "", "fd00::11"),
    ],
)
def test_nodes_are_of_the_family_of_the_services(
    networks: tuple[str, str], address: str, more: str, expected: str
) -> None:
    """The way to log in may be of the other one."""
    pods, services = networks
    inventory = parse_inventory(INVENTORY.format(pods=pods, services=services, address=address, more=more))
    facts = make_facts("cp1", addresses=("192.0.2.11", "10.0.0.11", "fd00::11"))

    assert node_address(inventory.hosts[0], facts, inventory.cluster) == expected
