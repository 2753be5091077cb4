"""``clusterctl upgrade --strategy surge`` on a cluster in memory: the chain, the run, the roles afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed, ConnectError
from clusterctl.kube.verify.verify import Check
from clusterctl.model.inventory import parse_inventory
from tests.builders import make_pod
from tests.cli.conftest import INVENTORY, Call, FakeMachines, lines
from tests.cli.test_upgrade import kubelets, unmeasured
from tests.simulation import World

__all__ = ["unmeasured"]  # Used by every test here.

SPARE = "  - {name: w3, address: 192.0.2.23, role: spare}  # stands by\n"
OLD = INVENTORY.replace("1.36.3", "1.35.4") + SPARE
UPGRADE = ("upgrade", "--to", "1.36.3", "--strategy", "surge", "--yes")


@pytest.fixture
def world() -> World:
    """Four hosts, one of them a spare, for Kubernetes 1.35.4."""
    world = World(parse_inventory(OLD))
    world.hosts["w3"] = replace(world.hosts["w3"], available=("1.35.4-1.1", "1.36.3-1.1"))
    return world


@pytest.fixture
def running(call: Call, machines: FakeMachines, tmp_path: Path) -> World:
    """A cluster at 1.35.4, whose spare was off when it was made."""
    (tmp_path / "inventory.yaml").write_text(OLD)
    machines.broken["w3"] = ConnectError("w3: does not answer")
    result = call("bootstrap", "--yes")
    assert result.exit_code == 0, result.output
    del machines.broken["w3"]
    machines.world.actions.clear()
    return machines.world


def workers(world: World) -> set[str]:
    """The nodes but the control plane's."""
    assert world.api is not None
    return {name for name, node in world.api.nodes.items() if not node.control_plane}


def test_bootstrap_asks_nothing_of_a_spare(running: World, call: Call) -> None:
    """It may be off; it is no node, and status misses nothing."""
    assert workers(running) == {"w1", "w2"}
    assert "Nothing to do: the cluster is as the inventory wants it." in lines(call("bootstrap"))
    assert "w3" not in call("plan", "bootstrap", "--verbose").stdout
    assert call("status").stdout.splitlines()[-1] == "Nodes and versions are as the inventory wants them."


def test_workers_are_replaced_and_roles_exchanged(
    call: Call, running: World, machines: FakeMachines, tmp_path: Path
) -> None:
    """The chain is told, the cluster proved by the nodes that it has then, and the inventory written."""
    machines.checks = (Check("nodes", True, "three", 1.0),)

    result = call(*UPGRADE, "--write")

    assert result.exit_code == 0, result.output
    shown = lines(result)
    start = shown.index("Workers are replaced one after the other, by hosts at 1.36.3:")
    assert shown[start + 1 : start + 5] == [
        "  1. w3 joins",
        "  2. w1 is drained, its node removed, the host reset; it stands by from then on",
        "  3. w1 joins",
        "  4. w2 is drained, its node removed, the host reset; it stands by from then on",
    ]
    assert workers(running) == {"w1", "w3"}
    assert kubelets(running) == {"1.36.3"}
    assert machines.verified is not None
    assert machines.verified[5] == ("cp1", "w1", "w3")
    assert "inventory.yaml says now: cluster.kubernetes is 1.36.3, w2 is a spare, w3 is a worker." in shown
    wanted = OLD.replace("1.35.4", "1.36.3").replace("22, role: worker", "22, role: spare")
    assert (tmp_path / "inventory.yaml").read_text() == wanted.replace("23, role: spare", "23, role: worker")
    assert "Nothing to do: the cluster runs 1.36.3." in lines(call(*UPGRADE))
    assert "Nothing to do: the cluster is as the inventory wants it." in lines(call("bootstrap"))


def test_without_write_it_says_what_to_change(call: Call, running: World) -> None:
    """And the inventory as it is leads bootstrap and a rolling upgrade to a finding, not to a change."""
    result = call(*UPGRADE, "--no-verify")
    done = len(running.actions)

    assert result.exit_code == 0, result.output
    assert (
        "inventory.yaml does not say yet: cluster.kubernetes is 1.36.3, w2 is a spare, w3 is a worker. Change it, or: "
        "clusterctl upgrade --to 1.36.3 --strategy surge --write"
    ) in lines(result)
    refused = call("upgrade", "--to", "1.36.3", "--yes")
    assert refused.exit_code == 3
    assert "spares of the inventory are nodes of the cluster: w3" in refused.output
    assert len(running.actions) == done
    assert call(*UPGRADE, "--write").exit_code == 0
    assert len(running.actions) == done
    assert "Nothing to do: the cluster is as the inventory wants it." in lines(call("bootstrap"))


def test_the_plan_shows_the_chain(call: Call, running: World) -> None:
    """Of a host that is made anew on the way it does not claim to know anything."""
    running.pods = replace(running.pods, pods=(make_pod(), make_pod("web-2", "w2")))
    result = call("plan", "upgrade", "--to", "1.36.3", "--strategy", "surge")
    data = json.loads(call("plan", "upgrade", "--to", "1.36.3", "--strategy", "surge", "--json").stdout)

    assert result.exit_code == 0, result.output
    shown = lines(result)
    heads = [line.partition("  (")[0] for line in shown]
    plays = ["Join w3", "Replace w1", "Join w1", "Replace w2"]
    assert sorted(plays, key=heads.index) == plays
    assert (
        "  ? w1  workers/reset and 39 more  known when workers/reset has made it anew"
        in shown[heads.index("Join w1") + 1]
    )
    removal = shown[heads.index("Replace w1") :]
    assert any("+ w1  workers/replaced" in line and "1 of 2 workers would be Ready" in line for line in removal)
    assert [(each["host"], each["joins"]) for each in data["surge"]] == [
        ("w3", True),
        ("w1", False),
        ("w1", True),
        ("w2", False),
    ]
    assert not running.actions


def test_data_on_a_nodes_own_disk_stops_it_before_anything_changes(call: Call, running: World) -> None:
    """Unless the operator gives it up."""
    running.pods = replace(running.pods, pods=(make_pod(host_paths=("/srv/data",)),))

    refused = call(*UPGRADE, "--no-verify")
    assert refused.exit_code == 3
    assert "shop/web-1 has data in /srv/data of w1, and the node is removed" in refused.output
    assert not running.actions
    done = call(*UPGRADE, "--no-verify", "--ignore", "workers/local-data", "--ignore", "drain/placement")
    assert done.exit_code == 0, done.output


def test_without_a_spare_nothing_is_changed(call: Call, running: World, machines: FakeMachines) -> None:
    """It says which one cannot be reached, and what else there is."""
    machines.broken["w3"] = ConnectError("w3: does not answer")

    result = call(*UPGRADE)

    assert result.exit_code == 3
    assert "no spare is at hand" in result.stderr
    assert "w3: does not answer" in result.stderr
    assert "--strategy rolling" in result.stderr
    assert not running.actions


@pytest.mark.parametrize("words", [("--batch", "2"), ("--canary", "w1"), ("--limit", "w1"), ("--limit", "cp1,w3")])
def test_workers_go_one_by_one(words: tuple[str, ...], call: Call, running: World) -> None:
    """What chooses among them is bad input."""
    result = call(*UPGRADE, *words)

    assert result.exit_code == 2
    assert "--strategy surge" in result.stderr
    assert not running.actions


def test_control_planes_may_go_first(call: Call, running: World) -> None:
    """The workers stay as they are; the next call replaces them."""
    first = call(*UPGRADE, "--limit", "control-plane")

    assert first.exit_code == 0, first.output
    assert workers(running) == {"w1", "w2"}
    assert kubelets(running) == {"1.35.4", "1.36.3"}
    assert call(*UPGRADE, "--no-verify").exit_code == 0
    assert workers(running) == {"w1", "w3"}


def test_a_failure_says_what_is_where(call: Call, running: World) -> None:
    """A host in trouble is named; the same command goes on from there."""
    running.faults[("w1", "workers/reset")] = "fails"

    result = call(*UPGRADE, "--no-verify")

    assert result.exit_code == CommandFailed.exit_code
    told = result.stderr.splitlines()
    start = told.index("What is where:")
    assert told[start + 2 : start + 5] == [
        "  w1: kubeadm 1.35.4, no node",
        "  w2: kubeadm 1.35.4, kubelet 1.35.4, Ready",
        "  w3: kubeadm 1.36.3, kubelet 1.36.3, Ready",
    ]
    assert any(
        line.endswith("go on with: clusterctl upgrade --to 1.36.3 --strategy surge --no-verify")
        for line in lines(result)
    )
    again = call(*UPGRADE, "--no-verify")
    assert again.exit_code == 0, again.output
    assert "  1. w1 joins" in lines(again)
    assert workers(running) == {"w1", "w3"}


def test_a_strategy_is_for_an_upgrade_alone(call: Call) -> None:
    """Bad input elsewhere."""
    assert call("plan", "bootstrap", "--strategy", "surge").exit_code == 2
