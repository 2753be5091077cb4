"""``cordon``, ``drain``, ``uncordon``, ``reboot`` and ``os-update`` on a cluster in memory."""

import json
import re
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.engine.playbook import load_playbook
from clusterctl.model.facts import NodeFacts
from clusterctl.model.pods import Pods
from clusterctl.render import Script
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import make_pod
from tests.cli.conftest import Call, FakeMachines
from tests.simulation import FakeMachine, Killed, World, run


@pytest.fixture(autouse=True)
def cluster(world: World, machines: FakeMachines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with a pod on w1; its API endpoint is no real one to ask."""
    monkeypatch.setattr("clusterctl.actions.running.targets", lambda session, probes: ())
    run(load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE), world)
    world.pods = Pods((make_pod(),))
    world.actions.clear()


def nodes(world: World) -> dict[str, NodeFacts]:
    """The nodes by name."""
    assert world.api is not None
    return dict(world.api.nodes)


def test_a_node_by_hand(call: Call, world: World) -> None:
    """Cordoned, drained, given back; each command has nothing to do a second time."""
    assert call("cordon", "w1", "--yes").exit_code == 0
    assert nodes(world)["w1"].cordoned
    assert world.pods.pods
    assert call("drain", "w1", "--yes").exit_code == 0
    assert not world.pods.pods
    for verb in ("cordon", "drain"):
        assert "Nothing to do." in call(verb, "w1", "--yes").stdout
    assert call("uncordon", "w1", "--yes").exit_code == 0
    assert not nodes(world)["w1"].unschedulable
    assert "Nothing to do." in call("uncordon", "w1", "--yes").stdout


@pytest.mark.parametrize("verb", ["cordon", "uncordon", "drain", "reboot"])
def test_hosts_have_to_be_named(call: Call, world: World, verb: str) -> None:
    """None is not all of them, and a host that is none is told."""
    assert call(verb, "--yes").exit_code == 2
    unknown = call(verb, "w3", "--yes")

    assert unknown.exit_code == 2
    assert "the inventory has no host 'w3'" in unknown.stderr
    assert world.actions == []


def test_the_options_of_a_drain_replace_those_of_the_inventory(call: Call, world: World) -> None:
    """A pod that nobody makes again is deleted when that is said, and the command that goes on says so as well."""
    world.pods = Pods((make_pod("alone", controller=None),))

    refused = call("drain", "w1", "--yes")
    assert refused.exit_code == 3
    assert "force deletes pods that nobody makes again (--force)" in refused.stdout
    world.break_at = len(world.actions)
    failed = call("drain", "w1", "--yes", "--force", "--grace-period", "5")
    assert "go on with: clusterctl drain w1 --force --grace-period=5" in failed.stdout
    world.break_at = None

    assert call("drain", "w1", "--yes", "--force").exit_code == 0
    assert not world.pods.pods


def test_an_option_of_a_drain_that_cannot_be(call: Call, world: World) -> None:
    """Bad input, before any host is connected to."""
    result = call("drain", "w1", "--timeout", "-5")

    assert result.exit_code == 2
    assert "--timeout: " in result.stderr


def test_hosts_restart_by_name_and_role(call: Call, world: World) -> None:
    """Only those, one after the other, and again when they are asked to again."""
    before = {name: facts.boot_id for name, facts in world.hosts.items()}

    assert call("reboot", "worker", "--yes", "--ignore", "drain/placement").exit_code == 0
    assert {name for name, facts in world.hosts.items() if facts.boot_id != before[name]} == {"w1", "w2"}
    assert call("reboot", "w2", "--yes").exit_code == 0

    assert [host for host, name in world.actions if name == "reboot/restart"] == ["w1", "w2", "w2"]
    assert not any(node.unschedulable for node in nodes(world).values())


def test_a_failure_names_the_hosts_that_are_left(call: Call, world: World) -> None:
    """w1 has had its turn, w2 stays cordoned and is named."""
    world.faults["w2", "reboot/restart"] = "fails"

    result = call("reboot", "w1", "w2", "--yes", "--batch", "1")

    assert result.exit_code == 6
    assert "go on with: clusterctl reboot w2 --batch=1" in result.stdout
    assert [name for name, node in nodes(world).items() if node.cordoned] == ["w2"]
    assert call("reboot", "w2", "--yes").exit_code == 0
    assert not nodes(world)["w2"].unschedulable


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_audit_trail_of_a_run_that_was_killed_knows_who_was_through(
    call: Call, world: World, tmp_path: Path
) -> None:
    """With the command of docs/rolling.md: the same command again would restart w1 as well."""
    world.faults["w2", "reboot/restart"] = "killed before"
    with pytest.raises(Killed):
        call("reboot", "w1", "w2", "--yes")
    documented = (folder("playbooks").parent / "docs" / "rolling.md").read_text()
    (command,) = re.findall(r"^    (grep .*)$", documented, re.MULTILINE)
    told = command.replace("~/.local/state", str(tmp_path / "state"))

    through = subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=True).stdout

    assert [json.loads(line)["host"] for line in through.splitlines()] == ["w1"]
    assert call("reboot", "w2", "--yes").exit_code == 0
    assert not any(node.unschedulable for node in nodes(world).values())


def test_workers_in_batches(call: Call, world: World) -> None:
    """They begin after the control plane; hosts of a batch walk alone, each cordoned before it restarts."""
    result = call("reboot", "cp1", "worker", "--yes", "--batch", "100%")

    assert result.exit_code == 0, result.output
    names = [(host, name) for host, name in world.actions if name == "reboot/restart" or "cordon w" in name]
    assert names[0] == ("cp1", "reboot/restart")
    assert {name for _, name in names[1:] if "cordon" in name} >= {"cordon w1", "cordon w2"}
    for worker in ("w1", "w2"):
        assert names.index(("api", f"cordon {worker}")) < names.index((worker, "reboot/restart"))


def test_a_batch_of_two_is_under_way_at_once(call: Call, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other one before it restarts: both are cordoned then, and afterwards none is."""
    under_way: list[set[str]] = []
    meet = threading.Barrier(
        2, lambda: under_way.append({name for name, node in nodes(world).items() if node.cordoned}), timeout=20
    )
    act = FakeMachine.run

    def meeting(machine: FakeMachine, script: Script) -> str:
        if script.name == "reboot/restart":
            meet.wait()
        return act(machine, script)

    monkeypatch.setattr(FakeMachine, "run", meeting)

    result = call("reboot", "w1", "w2", "--yes", "--batch", "2")

    assert result.exit_code == 0, result.output
    assert under_way == [{"w1", "w2"}]
    assert not any(node.unschedulable for node in nodes(world).values())


@pytest.mark.parametrize("batch", ["0", "0%", "101%", "half", "-1"])
def test_a_batch_that_is_none(call: Call, world: World, batch: str) -> None:
    """Bad input."""
    result = call("reboot", "w1", f"--batch={batch}")

    assert result.exit_code == 2
    assert "not a number of hosts" in result.stderr


def test_packages_are_upgraded_on_every_host(call: Call, world: World) -> None:
    """Hosts need not be named; a second run has nothing to do."""
    assert call("os-update", "--yes", "--ignore", "drain/placement").exit_code == 0
    assert [host for host, name in world.actions if name == "os-update/packages"] == ["cp1", "w1", "w2"]

    assert "Nothing to do." in call("os-update", "--yes").stdout


def test_a_plan_of_a_restart_says_who_knows_which(call: Call, world: World) -> None:
    """The playbook alone cannot be run."""
    result = call("plan", "reboot", "--limit", "w1")

    assert result.exit_code == 3
    assert "clusterctl reboot w1" in result.stdout


def test_a_cluster_whose_node_is_cordoned_by_somebody_else(call: Call, world: World) -> None:
    """It is not given back, by hand or after a restart."""
    assert world.api is not None
    w2 = replace(world.api.nodes["w2"], unschedulable=True)
    world.api = replace(world.api, nodes={**world.api.nodes, "w2": w2})

    refused = call("uncordon", "w2", "--yes")
    assert refused.exit_code == 3
    assert "kubectl uncordon w2" in refused.stdout
    assert call("reboot", "w2", "--yes").exit_code == 0
    assert nodes(world)["w2"].unschedulable
