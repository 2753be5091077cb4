"""``clusterctl upgrade`` on a cluster in memory: the hops, the question, the run, what is left to type."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed, ConnectError
from clusterctl.kube.verify.verify import Check
from clusterctl.model.inventory import parse_inventory
from clusterctl.render import Script
from tests.cli.conftest import INVENTORY, Call, FakeMachines, lines
from tests.simulation import FakeMachine, World


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated cluster has no endpoint that could be asked."""
    monkeypatch.setattr("clusterctl.actions.running.targets", lambda session, probes: ())


def at(version: str) -> str:
    """The inventory at another version, with a comment."""
    return "# ours\n" + INVENTORY.replace("kubernetes: 1.36.3", f"kubernetes: {version}  # since May")


@pytest.fixture
def world() -> World:
    """Three hosts, for Kubernetes 1.35.4."""
    return World(parse_inventory(at("1.35.4")))


@pytest.fixture
def running(call: Call, machines: FakeMachines, tmp_path: Path) -> World:
    """A cluster at 1.35.4."""
    (tmp_path / "inventory.yaml").write_text(at("1.35.4"))
    assert call("bootstrap", "--yes").exit_code == 0
    machines.world.actions.clear()
    return machines.world


def kubelets(world: World) -> set[str]:
    """The versions of all kubelets."""
    assert world.api is not None
    return {node.kubelet_version for node in world.api.nodes.values()}


def test_everything_is_brought_to_the_version(call: Call, running: World, machines: FakeMachines) -> None:
    """The plan, the run, the proof, and what the inventory still says."""
    machines.checks = (Check("nodes", True, "three", 1.0),)

    result = call("upgrade", "--to", "1.36.3", "--yes")

    assert result.exit_code == 0, result.output
    assert kubelets(running) == {"1.36.3"}
    assert any("upgrade: done after" in line for line in lines(result))
    assert machines.verified is not None
    assert machines.verified[4] == "1.36.3"
    assert any(
        line.startswith("inventory.yaml does not say yet: cluster.kubernetes is 1.36.3. Change it, or: ")
        for line in lines(result)
    )
    assert lines(result)[-1] == "  clusterctl status"
    assert len({hold.run for hold in machines.holds}) <= 2  # The bootstrap's and ours.


def test_a_second_run_has_nothing_to_do(call: Call, running: World) -> None:
    """0 changes, no question, no verification."""
    call("upgrade", "--to", "1.36.3", "--yes")
    before = len(running.actions)

    result = call("upgrade", "--to", "1.36.3")

    assert result.exit_code == 0, result.output
    assert "Nothing to do: the cluster runs 1.36.3." in lines(result)
    assert len(running.actions) == before


def test_the_inventory_is_written_when_asked(call: Call, running: World, tmp_path: Path) -> None:
    """Its version alone; then it names the target by itself, and bootstrap has nothing to do."""
    result = call("upgrade", "--to", "1.36", "--yes", "--write", "--no-verify")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "inventory.yaml").read_text() == at("1.36.3")
    assert "inventory.yaml says now: cluster.kubernetes is 1.36.3." in lines(result)
    assert "Nothing to do: the cluster runs 1.36.3." in lines(call("upgrade"))
    assert "Nothing to do: the cluster is as the inventory wants it." in lines(call("bootstrap"))


def test_several_hops_are_told_and_asked_once(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """Workers are drained once, and kubeadm steps through."""
    (tmp_path / "inventory.yaml").write_text(at("1.34.4"))
    machines.world.inventory = parse_inventory(at("1.34.4"))
    for name, facts in machines.world.hosts.items():
        machines.world.hosts[name] = replace(facts, available=("1.34.4-1.1",))
    assert call("bootstrap", "--yes").exit_code == 0
    machines.world.actions.clear()

    result = call("upgrade", "--to", "1.36.3", "--yes", "--no-verify")

    assert result.exit_code == 0, result.output
    assert "2 hops lead to 1.36.3: 1.35.4, 1.36.3." in lines(result)
    assert "Hop 1 of 2: 1.35.4, on the workers kubeadm alone" in lines(result)
    assert "Hop 2 of 2: 1.36.3" in lines(result)
    assert kubelets(machines.world) == {"1.36.3"}
    assert [name for _, name in machines.world.actions].count("drain w1") == 1
    assert machines.world.actions.count(("w1", "upgrade/node")) == 2


@pytest.mark.usefixtures("terminal")
def test_the_canary_goes_first_and_the_rest_waits_for_an_answer(call: Call, running: World) -> None:
    """The first answer starts, the second one goes on after the canary; no leaves the others as they are."""
    words = ("upgrade", "--to", "1.36.3", "--canary", "w2", "--pause", "--no-verify")
    result = call(*words, answer="y\nn\n")

    assert result.exit_code == 3, result.output
    assert "The answer was no. Nothing more was changed." in result.stderr
    assert "w1: kubeadm 1.35.4, kubelet 1.35.4, Ready" in result.stderr
    assert running.api is not None
    assert {name: node.kubelet_version for name, node in running.api.nodes.items()} == {
        "cp1": "1.36.3",
        "w2": "1.36.3",
        "w1": "1.35.4",
    }

    assert call(*words, answer="y\ny\n").exit_code == 0
    assert kubelets(running) == {"1.36.3"}


def test_a_pause_without_a_terminal_ends_the_run_and_the_same_command_goes_on(call: Call, running: World) -> None:
    """``--yes`` starts it; once the canary is through it stands for the others."""
    words = ("upgrade", "--to", "1.36.3", "--canary", "w2", "--pause", "--no-verify", "--yes")

    paused = call(*words)

    assert paused.exit_code == 3, paused.output
    assert "Nobody can answer: there is no terminal. Nothing more was changed." in paused.stderr
    assert "Next: look at w2, then run the same command again" in paused.stderr
    assert kubelets(running) == {"1.35.4", "1.36.3"}
    assert call(*words).exit_code == 0
    assert kubelets(running) == {"1.36.3"}


def test_a_canary_has_to_be_a_worker(call: Call, running: World) -> None:
    """Bad input, before anything is changed."""
    result = call("upgrade", "--to", "1.36.3", "--canary", "cp1", "--yes")

    assert result.exit_code == 2
    assert "use one of: w1, w2" in result.stderr
    assert running.actions == []


@pytest.mark.parametrize("batch", ["0", "-1", "0%", "101%", "half"])
def test_a_batch_is_a_number_or_a_share(batch: str, call: Call, running: World) -> None:
    """Bad input."""
    result = call("upgrade", "--batch", batch)

    assert result.exit_code == 2
    assert "not a number of hosts" in result.stderr


def test_a_share_of_the_workers_walks_at_once(call: Call, running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, here: each waits for the other one before its kubelet changes."""
    meet, act = threading.Barrier(2, timeout=20), FakeMachine.run

    def meeting(machine: FakeMachine, script: Script) -> str:
        if script.name == "upgrade/kubelet" and machine.host.role == "worker":
            meet.wait()
        return act(machine, script)

    monkeypatch.setattr(FakeMachine, "run", meeting)

    result = call("upgrade", "--to", "1.36.3", "--batch", "100%", "--yes", "--no-verify")

    assert result.exit_code == 0, result.output
    assert kubelets(running) == {"1.36.3"}


def test_a_failure_names_the_node_and_says_what_is_where(call: Call, running: World) -> None:
    """It stays cordoned; the same command goes on."""
    running.faults[("w1", "upgrade/kubelet")] = "fails"

    result = call("upgrade", "--to", "1.36.3", "--batch", "1", "--no-verify", "--yes")

    assert result.exit_code == CommandFailed.exit_code
    told = result.stderr.splitlines()
    start = told.index("What is where:")
    assert told[start + 1] == "  cp1: control plane 1.36.3, kubeadm 1.36.3, kubelet 1.36.3, Ready"
    assert told[start + 2].startswith("  w1: kubeadm 1.36.3, kubelet 1.35.4, Ready, stays cordoned (by ")
    assert told[start + 3] == "  w2: kubeadm 1.35.4, kubelet 1.35.4, Ready"
    assert any(
        line.endswith("go on with: clusterctl upgrade --to 1.36.3 --batch 1 --no-verify") for line in lines(result)
    )

    assert call("upgrade", "--to", "1.36.3", "--yes", "--no-verify").exit_code == 0
    assert kubelets(running) == {"1.36.3"}


def test_workers_do_not_go_before_their_control_planes(call: Call, running: World) -> None:
    """Refused beforehand, with what to do."""
    result = call("upgrade", "--to", "1.36.3", "--limit", "w1", "--yes")

    assert result.exit_code == 3
    assert "control planes come first, and --limit leaves out cp1" in result.stderr
    assert running.actions == []
    assert call("upgrade", "--to", "1.36.3", "--limit", "control-plane", "--yes").exit_code == 0
    assert call("upgrade", "--to", "1.36.3", "--limit", "w1", "--yes").exit_code == 0
    assert running.api is not None
    assert running.api.nodes["w1"].kubelet_version == "1.36.3"
    assert running.api.nodes["w2"].kubelet_version == "1.35.4"


def test_write_and_limit_contradict_each_other(call: Call, running: World) -> None:
    """Bad input."""
    assert call("upgrade", "--limit", "w1", "--write").exit_code == 2


def test_without_a_cluster_there_is_nothing_to_upgrade(call: Call, machines: FakeMachines) -> None:
    """It says how to make one."""
    result = call("upgrade", "--to", "1.36.3", "--yes")

    assert result.exit_code == 3
    assert "make one: clusterctl bootstrap" in result.stderr


def test_a_host_that_cannot_be_reached_stops_it_before_it_starts(
    call: Call, running: World, machines: FakeMachines
) -> None:
    """Nothing is changed; without that host it may go on."""
    machines.broken["w2"] = ConnectError("w2 is off")

    result = call("upgrade", "--to", "1.36.3", "--yes")

    assert result.exit_code == 4
    assert "What is where" not in result.stderr
    assert running.actions == []
    assert call("upgrade", "--to", "1.36.3", "--limit", "cp1,w1", "--yes").exit_code == 0
    assert running.api is not None
    assert running.api.nodes["w1"].kubelet_version == "1.36.3"


def test_a_minor_that_the_source_lacks_is_told(call: Call, running: World) -> None:
    """Before anything is changed."""
    result = call("upgrade", "--to", "1.37", "--yes")

    assert result.exit_code == 2
    assert "no version of Kubernetes 1.36" in result.stderr or "no version of Kubernetes 1.37" in result.stderr
    assert running.actions == []
