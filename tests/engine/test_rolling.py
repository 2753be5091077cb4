"""Drain, restart and give back on a cluster in memory: order, faults, and what always holds."""

from contextlib import suppress
from dataclasses import replace

import pytest

from clusterctl.actions.playbooks import ignoring
from clusterctl.engine.playbook import Playbook, load_playbook
from clusterctl.errors import ClusterctlError, Refused
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.reboot.restart import Restart
from tests.engine.test_upgrade import Watched, copied, running_at
from tests.simulation import FAULTS, Fault, Killed, run

BOOKS = {
    name: load_playbook(folder("playbooks") / f"{name}.yaml", CATALOGUE)
    for name in ("cordon", "uncordon", "drain", "reboot", "os-update")
}
BEFORE = {planes: running_at("1.36.3", planes) for planes in (1, 3)}
HOSTS = {1: ("cp1", "w1", "w2"), 3: ("cp1", "cp2", "cp3", "w1", "w2")}


def cluster(control_planes: int = 1) -> Watched:
    """A cluster with pods, whose operator has cordoned w2."""
    return copied(BEFORE[control_planes], "1.36.3")


def book(name: str, world: Watched, *hosts: str) -> Playbook:
    """The playbook for some hosts, as the command makes it at this moment; pods may wait for their node."""
    found = BOOKS[name].limited(hosts, world.inventory)
    if name not in ("cordon", "uncordon"):
        found = ignoring(found, ["drain/placement"])
    return found.with_steps(Restart({each: facts.boot_id for each, facts in world.hosts.items()}))


def restarted(world: Watched) -> list[str]:
    """The hosts that have started again, in the inventory's order."""
    before = BEFORE[len(world.inventory.control_planes)].hosts
    return [name for name, facts in world.hosts.items() if facts.boot_id != before[name].boot_id]


def as_before(world: Watched) -> None:
    """Every node takes pods as it did before, w2 none; every API server has its part; nothing that must hold broke."""
    assert world.api is not None
    assert {name: (node.unschedulable, node.cordoned) for name, node in world.api.nodes.items()} == {
        name: (name == "w2", None) for name in world.api.nodes
    }
    assert not any(facts.haproxy_unused for facts in world.hosts.values())
    assert world.broken == []


@pytest.mark.parametrize("control_planes", [1, 3])
def test_every_host_restarts_once_and_is_given_back(control_planes: int) -> None:
    """One at a time, control planes first; each one is empty when it restarts."""
    world = cluster(control_planes)

    run(book("reboot", world), world)

    assert [host for host, name in world.actions if name == "reboot/restart"] == list(HOSTS[control_planes])
    as_before(world)
    for host in HOSTS[control_planes]:
        names = [name for where, name in world.actions if where == host or name.endswith(f" {host}")]
        assert names.index(f"drain {host}") < names.index("reboot/restart") < names.index(f"uncordon {host}")
    leaves = [host for host, name in world.actions if name == "reboot/leave"]
    assert leaves == ([] if control_planes == 1 else ["cp2", "cp3", "cp1", "cp1", "cp3", "cp2", "cp1", "cp2", "cp3"])


def test_only_the_hosts_that_are_named_restart() -> None:
    """The others are not even cordoned."""
    world = cluster(3)

    run(book("reboot", world, "w1"), world)

    assert restarted(world) == ["w1"]
    assert not [name for _, name in world.actions if "cordon" in name and not name.endswith("w1")]


@pytest.mark.parametrize("name", ["reboot", "os-update"])
@pytest.mark.parametrize("control_planes", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_anywhere_leaves_nothing_behind(name: str, control_planes: int, fault: Fault) -> None:
    """Whatever breaks at whichever action: running again ends with every node given back."""
    whole = cluster(control_planes)
    run(book(name, whole), whole)
    for at in range(len(whole.actions)):
        world = copied(BEFORE[control_planes], "1.36.3", break_at=at, fault=fault)
        with suppress(ClusterctlError, Killed):
            run(book(name, world), world)
        assert len(world.actions) > at

        world.break_at, world.api_starts = None, 0
        world.batch = 2  # A restart is asked for anew, and begins with cp1; another host may still be cordoned.
        run(book(name, world), world)

        as_before(world)
        assert set(restarted(world)) == set(HOSTS[control_planes])


def test_a_host_that_is_not_emptied_stays_as_it_is() -> None:
    """A pod that nobody makes again: nothing is cordoned, nothing restarts."""
    world = cluster()
    alone = replace(world.pods.pods[0], name="alone", uid="alone", node="w1", controller=None)
    world.pods = replace(world.pods, pods=(*world.pods.pods, alone))

    with pytest.raises(Refused, match="drain/unmanaged: web/alone has no controller"):
        run(book("reboot", world, "w1"), world)

    assert world.actions == []


def test_without_a_start_that_is_meant_nothing_restarts() -> None:
    """The playbook alone, as by `clusterctl run reboot`, does not know which start it is about."""
    world = cluster()

    with pytest.raises(Refused, match="which start of the host is meant"):
        run(BOOKS["reboot"].limited(("w1",), world.inventory), world)

    assert restarted(world) == []


def test_packages_are_upgraded_once() -> None:
    """Each host is drained, upgraded, restarted and given back; a second run finds nothing to do and drains nobody."""
    world = cluster(3)

    run(book("os-update", world), world)
    before = len(world.actions)
    run(book("os-update", world), world)

    assert [host for host, name in world.actions if name == "os-update/restart"] == list(HOSTS[3])
    assert world.actions[before:] == []
    as_before(world)


def test_a_node_is_cordoned_drained_and_given_back_by_hand() -> None:
    """Only what ignores the cordon is there in between; w2, which its operator cordoned, is theirs to give back."""
    world = cluster()
    run(book("cordon", world, "w1"), world)
    assert world.api is not None
    assert world.api.nodes["w1"].cordoned
    assert world.pods.pods == BEFORE[1].pods.pods

    run(book("drain", world, "w1"), world)
    assert {pod.name for pod in world.pods.on("w1")} == {"kube-proxy-w1", "back"}
    run(book("uncordon", world, "w1"), world)

    as_before(world)
    with pytest.raises(Refused, match="w2 was cordoned by somebody else"):
        run(book("uncordon", world, "w2"), world)
