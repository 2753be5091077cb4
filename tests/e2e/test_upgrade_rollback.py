"""An upgrade that kubeadm rolls back, on a real cluster with a web service under constant requests."""

from collections.abc import Iterator

import pytest
import yaml

from clusterctl.errors import CommandFailed
from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe
from tests.e2e.test_bootstrap import clusterctl
from tests.e2e.test_ha import wait_until
from tests.e2e.test_upgrade import OLD, Cluster, made

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module")
def cluster(lab: LabFactory) -> Iterator[Cluster]:
    """One control plane and two workers, with a web service."""
    machines = lab(control_planes=1, workers=2, name="e2e-ill", kubernetes=OLD)
    yield made(machines)
    machines.down()


def add_gate(cluster: Cluster, gate: str) -> None:
    """Let kubeadm give the API server this feature gate from now on."""
    config = yaml.safe_load(cluster.kubectl("-n kube-system get configmap kubeadm-config -o yaml"))
    settings = yaml.safe_load(config["data"]["ClusterConfiguration"])
    settings["apiServer"].setdefault("extraArgs", []).append({"name": "feature-gates", "value": gate})
    config["data"]["ClusterConfiguration"] = yaml.safe_dump(settings)
    cluster.kubectl(f"replace -f - <<'END'\n{yaml.safe_dump(config)}END\n")


@pytest.mark.timeout(1500)
def test_a_kubeadm_that_rolls_back_leaves_the_old_version_at_work(cluster: Cluster) -> None:
    """The new API server does not come up: the old one is back, no node was drained, the service never failed."""
    add_gate(cluster, "NoSuchGate=true")

    with Probe(cluster.web()) as web:
        failed = clusterctl(cluster.lab, *cluster.upgrade("--yes", "--no-verify"))

    said = failed.stdout + failed.stderr
    assert failed.returncode == CommandFailed.exit_code, said
    assert "cp1: upgrade/apply" in failed.stderr
    assert f"kube-apiserver:v{OLD}" in failed.stderr
    assert "run the same command again" in failed.stderr
    wait_until(lambda: cluster.kubectl("get --raw /readyz || true") == "ok", 300)
    assert set(cluster.versions().values()) == {f"v{OLD}"}
    assert cluster.cordoned() == set()
    assert web.lost == []
