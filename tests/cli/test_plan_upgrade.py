"""``clusterctl plan upgrade`` on a cluster in memory: the hops, the findings, the drains, the time; nothing changes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.model.inventory import parse_inventory
from clusterctl.model.pods import Pods
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import make_budget, make_pod
from tests.cli.conftest import Call, FakeMachines, lines
from tests.cli.test_upgrade import at, kubelets, unmeasured
from tests.simulation import World

__all__ = ["unmeasured"]  # Used by every test here.

ANYWHERE = {"tolerations": [{"operator": "Exists"}]}
FREE = Pods(
    (make_pod(scheduling=ANYWHERE), make_pod("web-2", "w2", scheduling=ANYWHERE)), (make_budget(disruptions_allowed=1),)
)
NEVER = replace(FREE, budgets=(make_budget(disruptions_allowed=0, desired_healthy=2),))


def cluster(call: Call, machines: FakeMachines, folder: Path, version: str) -> World:
    """A cluster of this version, with pods, and the inventory for it."""
    (folder / "inventory.yaml").write_text(at(version))
    world = machines.world
    world.inventory = parse_inventory(at(version))
    for name, facts in world.hosts.items():
        world.hosts[name] = replace(facts, available=(f"{version}-1.1",))
    assert call("bootstrap", "--yes").exit_code == 0
    for name, facts in world.hosts.items():
        world.hosts[name] = replace(facts, available=("1.35.4-1.1", "1.36.3-1.1"))
    world.pods = FREE
    world.actions.clear()
    return world


@pytest.fixture
def running(call: Call, machines: FakeMachines, tmp_path: Path) -> World:
    """A cluster at 1.35.4."""
    return cluster(call, machines, tmp_path, "1.35.4")


def test_everything_is_shown_and_nothing_changes(call: Call, running: World, tmp_path: Path) -> None:
    """Findings, steps, and what draining the nodes would meet; the inventory stays as it is."""
    before = dict(running.hosts), running.api

    result = call("plan", "upgrade", "--to", "1.36.3")

    assert result.exit_code == 0, result.output
    for text in ("Look", "upgrade/snapshot", "nothing was saved before the upgrade to 1.36.3", "upgrade/drain"):
        assert text in result.stdout
    assert lines(result)[-1] == "3 nodes can be drained as things are now."
    assert "hops" not in result.stdout
    assert not running.actions
    assert not running.kept
    assert (running.hosts, running.api) == before
    assert (tmp_path / "inventory.yaml").read_text() == at("1.35.4")


def test_several_hops_are_named(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """The plan is that of the first one; where workers keep their kubelets they are not drained."""
    cluster(call, machines, tmp_path, "1.34.4")

    result = call("plan", "upgrade", "--to", "1.36")
    data = json.loads(call("plan", "upgrade", "--to", "1.36", "--json").stdout)
    each = json.loads(call("plan", "upgrade", "--to", "1.36.3", "--workers", "every-hop", "--json").stdout)

    assert result.exit_code == 0, result.output
    assert "2 hops lead to 1.36.3: 1.35.4, 1.36.3." in lines(result)
    assert "Hop 1 of 2: 1.35.4, on the workers kubeadm alone" in lines(result)
    assert data["hops"] == [{"version": "1.35.4", "kubelets": False}, {"version": "1.36.3", "kubelets": True}]
    assert [node["node"] for node in data["forecast"]["nodes"]] == ["cp1"]
    assert [node["node"] for node in each["forecast"]["nodes"]] == ["cp1", "w1", "w2"]
    assert (data["playbook"], data["blocked"]) == ("upgrade", 0)


@pytest.mark.parametrize(
    ("pods", "finding"),
    [
        (NEVER, "drain/budgets"),
        (Pods((make_pod("debug", controller=None, scheduling=ANYWHERE),)), "drain/unmanaged"),
        (Pods((make_pod(empty_dirs=("cache",), scheduling=ANYWHERE),)), "drain/emptydir"),
        (Pods((make_pod(scheduling={"nodeSelector": {"disk": "none"}}),)), "drain/placement"),
    ],
)
def test_a_hop_that_drains_no_worker_looks_at_no_drain_of_one(
    call: Call, machines: FakeMachines, tmp_path: Path, pods: Pods, finding: str
) -> None:
    """Their pods are in the way of the last hop alone, or of each where every hop drains them."""
    world = cluster(call, machines, tmp_path, "1.34.4")
    world.pods = pods

    once = json.loads(call("plan", "upgrade", "--to", "1.36.3", "--json").stdout)
    each = json.loads(call("plan", "upgrade", "--to", "1.36.3", "--workers", "every-hop", "--json").stdout)
    run = call("upgrade", "--to", "1.36.3", "--yes", "--no-verify")

    assert once["blocked"] == 0
    assert {step["host"] for step in once["steps"] if step["step"].startswith("drain/")} == {"cp1"}
    assert {step["step"] for step in each["steps"] if step["verdict"] == "blocked"} >= {finding}
    assert not [step for step in once["steps"] if step["step"] == "upgrade/soft-taint"]
    assert run.exit_code == 3, run.output
    assert kubelets(world) == {"1.34.4", "1.35.4"}  # The first hop went through, the control plane with it.


@pytest.mark.parametrize("node", ["cp1", "w1"])
def test_a_control_planes_drain_matters_in_every_hop(
    call: Call, machines: FakeMachines, tmp_path: Path, node: str
) -> None:
    """Its kubelet comes along each time."""
    world = cluster(call, machines, tmp_path, "1.34.4")
    world.pods = Pods((make_pod("debug", node, controller=None),))

    result = call("plan", "upgrade", "--to", "1.36.3")

    assert result.exit_code == (3 if node == "cp1" else 0), result.output


def test_pods_without_another_node_are_interrupted_and_do_not_stop_an_upgrade(call: Call, running: World) -> None:
    """Where only one node is meant for them; `drain` alone, after which it takes none, refuses."""
    assert running.api is not None
    apart = {
        name: replace(running.api.nodes[name], taints=(*running.api.nodes[name].taints, taint))
        for name, taint in (("cp1", "node-role.kubernetes.io/control-plane:NoSchedule"), ("w1", "gpu=yes:NoSchedule"))
    }
    running.api = replace(running.api, nodes={**running.api.nodes, **apart})
    running.pods = Pods((make_pod("web-2", "w2"),))

    planned = call("plan", "upgrade", "--to", "1.36.3")
    drained = call("drain", "w2", "--yes")
    told = json.loads(call("forecast", "w2", "--json").stdout)
    done = call("upgrade", "--to", "1.36.3", "--yes", "--no-verify")

    assert planned.exit_code == 0, planned.output
    assert "until w2 is given back, no node takes shop/web-2" in planned.stdout
    assert drained.exit_code == 3
    assert "shop/web-2 has nowhere to go" in drained.stdout
    assert (told["held"], told["nodes"][0]["nowhere_to_go"]) == ([], [])
    assert done.exit_code == 0, done.output


def test_what_is_in_the_way_is_found_before_anything_moves(call: Call, running: World) -> None:
    """A node that is not Ready, and a budget that cannot be met: both at once, each with its remedy."""
    assert running.api is not None
    w2 = replace(running.api.nodes["w2"], ready=False, reason="KubeletNotReady")
    running.api = replace(running.api, nodes={**running.api.nodes, "w2": w2})
    running.pods = NEVER

    result = call("plan", "upgrade", "--to", "1.36.3")

    assert result.exit_code == 3, result.output
    assert "w2 is not Ready: KubeletNotReady" in result.stdout
    assert "the budget shop/web can never allow an eviction" in result.stdout
    assert "kubectl describe node w2" in result.stdout
    assert not running.actions


def test_an_upgrade_stops_at_a_finding_before_anything_changes(call: Call, running: World) -> None:
    """The same findings stop `upgrade`; with the budget gone it goes through."""
    running.pods = NEVER

    stopped = call("upgrade", "--to", "1.36.3", "--yes")
    touched = list(running.actions)
    running.pods = FREE
    done = call("upgrade", "--to", "1.36.3", "--yes", "--no-verify")

    assert stopped.exit_code == 3, stopped.output
    assert "Nothing was changed." in stopped.stderr
    assert not touched
    assert done.exit_code == 0, done.output
    assert kubelets(running) == {"1.36.3"}


def test_time_is_told_once_every_step_has_been_timed(call: Call, running: World, tmp_path: Path) -> None:
    """By the operator's own earlier runs."""
    unknown = json.loads(call("plan", "upgrade", "--to", "1.36.3", "--json").stdout)
    durations = {step.name: [2.0] for step in CATALOGUE.values()}
    (tmp_path / "state" / "clusterctl" / "durations.json").write_text(json.dumps(durations))
    known = json.loads(call("plan", "upgrade", "--to", "1.36.3", "--json").stdout)
    told = call("plan", "upgrade", "--to", "1.36.3").stdout

    assert unknown["seconds"] is None
    assert known["seconds"] > 20
    assert "By earlier runs it takes " in told
    assert "Earlier drains took 2.0 s." in told


def test_at_the_version_nothing_is_ahead(call: Call, running: World) -> None:
    """No drain, no forecast, exit code 0."""
    result = call("plan", "upgrade")

    assert result.exit_code == 0, result.output
    assert "no changes" in lines(result)[-1]


def test_a_plan_of_an_upgrade_is_not_saved(call: Call, tmp_path: Path) -> None:
    """What later steps send depends on the new kubeadm: a run would stop half-way. Nor is one of a copy."""
    (tmp_path / "own.yaml").write_text("plays: [{name: One, hosts: worker, run: [upgrade/kubeadm]}]\n")

    for playbook in ("upgrade", "./own.yaml"):
        result = call("plan", playbook, "-o", "plan.json")

        assert result.exit_code == 2
        assert "a plan of an upgrade cannot be saved" in result.stderr
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("words", [("--to", "1.36.3"), ("--via", "1.35.4"), ("--workers", "every-hop")])
def test_a_way_is_for_an_upgrade_alone(call: Call, words: tuple[str, ...]) -> None:
    """Nothing else has a target."""
    result = call("plan", "bootstrap", *words)

    assert result.exit_code == 2
    assert "are for an upgrade" in result.stderr
