"""``clusterctl forecast`` on a cluster in memory."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import KubernetesError
from clusterctl.model.pods import Pods
from tests.builders import make_budget, make_node, make_pod
from tests.cli.conftest import Call, FakeMachines

FREE = Pods((make_pod(), make_pod("web-2", "w2")), (make_budget(),))
NEVER = replace(FREE, budgets=(make_budget(disruptions_allowed=0, desired_healthy=2),))


@pytest.fixture
def cluster(call: Call, machines: FakeMachines) -> FakeMachines:
    """A cluster after its bootstrap, with pods."""
    assert call("bootstrap", "--yes").exit_code == 0
    machines.world.pods = FREE
    return machines


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_can_be_drained(call: Call) -> None:
    """Every node of the inventory is told, and nothing is changed."""
    result = call("forecast")

    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:4]] == ["cp1", "w1", "w2"]
    assert result.stdout.endswith("3 nodes can be drained as things are now.\n")


def test_a_budget_that_cannot_be_met_is_found(call: Call, cluster: FakeMachines) -> None:
    """The exit code says so, and what to do is told; no pod is gone."""
    cluster.world.pods = NEVER
    before = list(cluster.world.actions)

    result = call("forecast", "w1")

    assert result.exit_code == 3
    assert "the budget shop/web can never allow an eviction" in result.stdout
    assert "w2" not in result.stdout.split("cannot be drained")[1]
    assert cluster.world.actions == before
    assert cluster.world.pods == NEVER


def test_json(call: Call, cluster: FakeMachines, tmp_path: Path) -> None:
    """For programs; earlier drains come from the operator's own records."""
    cluster.world.pods = NEVER
    (tmp_path / "state" / "clusterctl" / "durations.json").write_text('{"upgrade/drain": [7.0]}')

    result = call("forecast", "--json")

    data = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (data["held"], data["earlier_seconds"]) == (["w1", "w2"], 7.0)
    assert [each["node"] for each in data["nodes"]] == ["cp1", "w1", "w2"]


def test_a_node_with_another_name_is_found_by_its_address(call: Call, cluster: FakeMachines) -> None:
    """The host's own name is not known: nobody logs in to it for this."""
    api = cluster.world.api
    assert api
    nodes = {**api.nodes, "node-7": make_node("node-7", internal_address="192.0.2.22")}
    del nodes["w2"]
    cluster.world.api = replace(api, nodes=nodes)

    assert "node-7" in call("forecast", "w2").stdout


def test_an_unknown_host(call: Call, cluster: FakeMachines) -> None:
    """The names that exist are told."""
    result = call("forecast", "w9")

    assert result.exit_code == 2
    assert "cp1, w1, w2" in result.stderr


def test_a_host_that_is_no_node(call: Call, cluster: FakeMachines) -> None:
    """Its row is missing, and it is named."""
    api = cluster.world.api
    assert api
    cluster.world.api = replace(api, nodes={name: node for name, node in api.nodes.items() if name != "w2"})

    result = call("forecast", "w2")

    assert result.exit_code == 2
    assert "w2 is not a node" in result.stderr


def test_an_api_that_does_not_answer(call: Call, cluster: FakeMachines) -> None:
    """An error of the API, with its exit code."""
    cluster.api_failures = [KubernetesError("the API server does not answer")] * 3

    assert call("forecast").exit_code == 8
