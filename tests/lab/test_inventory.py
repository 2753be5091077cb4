"""The inventory a lab writes, word for word; ``make golden`` writes the files anew."""

import os
from pathlib import Path

import pytest

from clusterctl.lab.inventory import text
from clusterctl.lab.state import State
from clusterctl.model.inventory import parse_inventory
from tests.lab.builders import make_directory, make_state

GOLDEN = Path(__file__).parent / "golden"
LABS = {
    "inventory-modules": make_state(),
    "inventory-control-planes": make_state(3, 1, virtual_ip="10.77.0.10"),
    "inventory-official-cgroup2": make_state(workers=0, served=None, cgroup_version=2),
}


@pytest.mark.parametrize("name", LABS)
def test_inventory_is_the_golden_one(name: str) -> None:
    """The text is exactly the one that was reviewed."""
    golden, written = GOLDEN / f"{name}.yaml", text(LABS[name], make_directory())
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(written)

    assert written == golden.read_text()


@pytest.mark.parametrize("state", LABS.values(), ids=LABS)
def test_inventory_is_one_that_the_product_reads(state: State) -> None:
    """Every key is an ordinary one, and the hosts are the machines."""
    inventory = parse_inventory(text(state, make_directory()))

    assert [host.name for host in inventory.hosts] == [machine.name for machine in state.machines]
    assert inventory.ssh.known_hosts == Path("/state/labs/lab/known_hosts")
