"""``clusterctl kubeconfig``, ``status`` and ``verify`` on a cluster in memory."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError
from clusterctl.kube.verify.verify import Check
from clusterctl.model.facts import Service
from tests.builders import make_facts, make_node
from tests.cli.conftest import ADMIN_CONF, Call, FakeMachines, lines


@pytest.fixture
def cluster(call: Call, machines: FakeMachines) -> FakeMachines:
    """A cluster after its bootstrap."""
    assert call("bootstrap", "--yes").exit_code == 0
    return machines


@pytest.mark.usefixtures("cluster")
def test_the_kubeconfig_goes_to_standard_output(call: Call) -> None:
    """Without --output it is printed, and nothing else."""
    assert call("kubeconfig").stdout == ADMIN_CONF


@pytest.mark.usefixtures("cluster")
def test_the_kubeconfig_is_written_for_its_owner_alone(call: Call, tmp_path: Path) -> None:
    """Mode 0600, and no other file beside it."""
    before = set(tmp_path.iterdir())

    result = call("kubeconfig", "--output", "admin.conf")

    assert result.exit_code == 0
    written = tmp_path / "admin.conf"
    assert written.read_text() == ADMIN_CONF
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert set(tmp_path.iterdir()) - before == {written}
    assert f"export KUBECONFIG={written}" in result.stderr


@pytest.mark.usefixtures("cluster")
def test_a_kubeconfig_of_the_same_cluster_is_replaced(call: Call, tmp_path: Path) -> None:
    """Credentials are renewed; the server and the authority are the same."""
    written = tmp_path / "admin.conf"
    written.write_text(ADMIN_CONF.replace("c2VjcmV0", "b2xk"))

    assert call("kubeconfig", "-o", "admin.conf").exit_code == 0
    assert written.read_text() == ADMIN_CONF


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    "other",
    [
        ADMIN_CONF.replace("Q0E=", "T1RIRVI="),
        ADMIN_CONF.replace("192.0.2.11", "192.0.2.99"),
        ADMIN_CONF.replace("clusters: [", 'clusters: [{name: b, cluster: {server: "https://b:6443"}}, '),
        "not a kubeconfig",
        "",
    ],
)
def test_a_file_of_something_else_is_left_alone(other: str, call: Call, tmp_path: Path) -> None:
    """Another authority, another server, more clusters, or no kubeconfig at all: only --force overwrites."""
    written = tmp_path / "config"
    written.write_text(other)

    refused = call("kubeconfig", "--output", "config")

    assert refused.exit_code == 3
    assert "--force" in refused.stderr
    assert written.read_text() == other
    assert call("kubeconfig", "--output", "config", "--force").exit_code == 0
    assert written.read_text() == ADMIN_CONF


@pytest.mark.usefixtures("cluster")
def test_the_folder_of_the_kubeconfig_is_made(call: Call, tmp_path: Path) -> None:
    """As kubectl makes ~/.kube; but not a whole path, which may be a slip."""
    made = call("kubeconfig", "--output", ".kube/demo")
    slip = call("kubeconfig", "--output", "no/where/demo")

    assert made.exit_code == 0
    assert stat.S_IMODE((tmp_path / ".kube").stat().st_mode) == 0o700
    assert slip.exit_code == 2
    assert "where/demo: No such file or directory" in slip.stderr


def test_there_is_no_kubeconfig_before_there_is_a_cluster(call: Call, machines: FakeMachines) -> None:
    """The command that makes one is named."""
    result = call("kubeconfig")

    assert result.exit_code == 8
    assert "clusterctl bootstrap" in result.stderr


@pytest.mark.usefixtures("cluster")
def test_status_shows_the_nodes(call: Call) -> None:
    """Ready, role, version, and that nothing differs."""
    result = call("status")

    assert result.exit_code == 0
    assert lines(result)[0] == "demo: API server 1.36.3, 3 of 3 nodes ready"
    assert lines(result)[2].split() == ["NODE", "READY", "ROLE", "VERSION", "ADDRESS", "TAINTS", "NOTES"]
    assert lines(result)[3].split()[:4] == ["cp1", "yes", "control-plane", "1.36.3"]
    assert any("daemonset/kube-proxy" in line for line in lines(result))
    assert lines(result)[-1] == "Nodes and versions are as the inventory wants them."


def test_status_tells_what_differs_from_the_inventory(call: Call, cluster: FakeMachines) -> None:
    """Missing and extra nodes, another version, another role, a host and a kubelet that do not answer."""
    world = cluster.world
    assert world.api
    old = make_node("w1", kubelet_version="v1.35.0", control_plane=True)
    world.api = replace(
        world.api,
        version="v1.35.9",
        nodes={"cp1": world.api.nodes["cp1"], "w1": old, "x9": make_node("x9", internal_address="192.0.2.99")},
    )
    world.hosts["w1"] = make_facts("w1", services={"kubelet.service": Service("failed", "enabled")})
    cluster.broken["w2"] = ConnectError("w2: no route")

    result = call("status")

    assert result.exit_code == 0
    assert lines(result)[lines(result).index("Different from the inventory") + 1 :] == [
        "  API server: its version is 1.35.9, the inventory wants 1.36.3",
        "  w1: kubelet.service is failed",
        "  w1: its kubelet is 1.35.0, the inventory wants 1.36.3",
        "  w1: is a control-plane, the inventory wants a worker",
        "  w2: cannot be reached: no route",
        "  w2: is not a node of the cluster",
        "  x9: is a node of the cluster and not in the inventory",
    ]


def test_status_as_json(call: Call, cluster: FakeMachines) -> None:
    """Nodes, hosts, workloads, differences."""
    cluster.broken["w2"] = ConnectError("w2: no route")

    status = json.loads(call("status", "--json").stdout)

    assert status["api_server_version"] == "1.36.3"
    # The simulated workers join in any order.
    assert sorted((node["name"], node["host"], node["ready"]) for node in status["nodes"]) == [
        ("cp1", "cp1", True),
        ("w1", "w1", True),
        ("w2", "w2", True),
    ]
    assert [(host["name"], host["answers"], host["node"]) for host in status["hosts"]] == [
        ("cp1", True, "cp1"),
        ("w1", True, "w1"),
        ("w2", False, "w2"),
    ]
    assert status["differences"] == [{"name": "w2", "difference": "cannot be reached: no route"}]


def test_status_without_a_cluster(call: Call, machines: FakeMachines) -> None:
    """The Kubernetes API is what is missing."""
    assert call("status").exit_code == 8


def test_status_needs_the_first_control_plane(call: Call, cluster: FakeMachines) -> None:
    """Without it nobody can ask the API."""
    cluster.broken["cp1"] = ConnectError("cp1: no route")

    assert call("status").exit_code == 4


def test_verify_shows_its_checks(call: Call, cluster: FakeMachines) -> None:
    """All of them are so: 0."""
    cluster.checks = (Check("nodes", True, "3 nodes Ready", 0.2), Check("pod network", True, "each is reached", 12.0))

    result = call("verify", "--image", "nginx:1", "--deadline", "60", "--keep")

    assert result.exit_code == 0
    assert lines(result) == [
        "ok      nodes        3 nodes Ready (0.2 s)",
        "ok      pod network  each is reached (12 s)",
    ]
    assert cluster.verified == ("nginx:1", 60.0, True, False, "1.36.3", ("cp1", "w1", "w2"))


def test_verify_ends_with_7_when_a_check_fails(call: Call, cluster: FakeMachines) -> None:
    """Every problem is shown, and what to look at."""
    cluster.checks = (Check("nodes", True, "", 0.2), Check("dns", False, "from w1: no name\nfrom w2: no name", 9.0))

    result = call("verify")
    as_json = call("verify", "--json")

    assert result.exit_code == as_json.exit_code == 7
    assert lines(result)[1:] == ["FAILED  dns    from w1: no name (9.0 s)", "               from w2: no name"]
    assert result.stderr.startswith("the cluster does not pass: dns\n  Next: ")
    assert json.loads(as_json.stdout)["ok"] is False
    assert [check["ok"] for check in json.loads(as_json.stdout)["checks"]] == [True, False]


def test_verify_by_a_kubeconfig_reads_no_inventory(call: Call, tmp_path: Path) -> None:
    """A file that is no kubeconfig is told as such, and no inventory is missed."""
    (tmp_path / "admin.conf").write_text("clusters: []\n")

    missing = call("verify", "--kubeconfig", str(tmp_path / "none"))
    wrong = call("verify", "--kubeconfig", str(tmp_path / "admin.conf"))

    assert missing.exit_code == wrong.exit_code == 2
    assert "cannot read the kubeconfig" in missing.stderr
    assert "current-context" in wrong.stderr


def test_verify_without_a_cluster(call: Call, machines: FakeMachines) -> None:
    """There is nothing to verify."""
    assert call("verify").exit_code == 8
