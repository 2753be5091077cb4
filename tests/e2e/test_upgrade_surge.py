"""A worker that is replaced by a spare, with a web service under constant requests; for real."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe
from tests.e2e.running import start
from tests.e2e.test_bootstrap import clusterctl, ok
from tests.e2e.test_upgrade import NEW, OLD, Cluster, made

pytestmark = [pytest.mark.e2e, pytest.mark.long]

# What a node of the cluster has and a host that stands by has not.
TRACES = (
    "sudo sh -c 'ls -A /etc/kubernetes/manifests /var/lib/kubelet /etc/cni/net.d; ls /etc/kubernetes/*.conf; "
    'ctr --namespace k8s.io containers list --quiet; iptables-save | grep -E "KUBE-|cali"; '
    'ip -o link show | grep -E "cali|flannel|cni0"; ip route | grep -E "blackhole|10\\.10\\."\' 2>/dev/null || true'
)


@pytest.fixture(scope="module")
def cluster(lab: LabFactory) -> Iterator[Cluster]:
    """One control plane, one worker, and w2 as the spare."""
    machines = lab(control_planes=1, workers=2, name="e2e-surge", kubernetes=OLD)
    text = machines.inventory.read_text()
    last = text.rindex("role: worker")
    machines.inventory.write_text(text[:last] + "role: spare  # stands by" + text[last + len("role: worker") :])
    yield made(machines)
    machines.down()


@pytest.mark.timeout(1800)
def test_a_spare_takes_the_place_of_the_worker_and_no_request_is_lost(
    cluster: Cluster, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """It joins at the new version, then the worker is drained, removed and clean, and is the next spare.

    Killed in the middle of the drain, and run again.
    """
    assert set(cluster.versions()) == {"cp1", "w1"}
    words = cluster.upgrade("--strategy", "surge")
    plan = clusterctl(cluster.lab, "plan", *words, "--json")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert json.loads(plan.stdout)["surge"] == [{"host": "w2", "joins": True}, {"host": "w1", "joins": False}]

    began = time.monotonic()
    with Probe(cluster.web("cp1")) as web:
        run = start(cluster.lab, tmp_path, *words, "--yes", "--write")
        run.until(lambda: run.has("step-started", step="workers/drain"), 900)
        time.sleep(2)
        os.kill(run.process.pid, signal.SIGKILL)
        run.process.wait()
        assert cluster.cordoned() == {"w1"}

        said = ok(cluster.lab, *words, "--yes", "--write")
        time.sleep(2)

    tell(f"surge: {time.monotonic() - began:.0f} s; the web service: {web}")
    assert "  1. w1 is drained" in said
    assert cluster.versions() == {"cp1": f"v{NEW}", "w2": f"v{NEW}"}
    assert cluster.cordoned() == set()
    assert web.lost == []
    assert web.answered > 100
    left = cluster.lab.run("w1", TRACES).split()
    assert [word for word in left if not word.endswith(":")] == []


@pytest.mark.timeout(300)
def test_the_roles_have_been_exchanged(cluster: Cluster) -> None:
    """With the inventory as it was written neither upgrade nor bootstrap has anything to do; comments stay."""
    text = cluster.lab.inventory.read_text()

    assert text.count("role: worker  # stands by") == 1
    assert text.count("role: spare") == 1
    assert "Nothing to do" in ok(cluster.lab, *cluster.upgrade("--strategy", "surge", "--yes"))
    plan = json.loads(ok(cluster.lab, "plan", "bootstrap", "--json"))
    assert [step for step in plan["steps"] if step["verdict"] != "satisfied"] == []


@pytest.mark.timeout(600)
def test_the_host_that_was_reset_may_join_again(cluster: Cluster) -> None:
    """As a worker, at the new version, beside the one that took its place; the cluster works on all nodes."""
    inventory = cluster.lab.inventory
    inventory.write_text(inventory.read_text().replace("role: spare", "role: worker"))

    ok(cluster.lab, "bootstrap", "--yes")

    assert cluster.versions() == dict.fromkeys(("cp1", "w1", "w2"), f"v{NEW}")
    ok(cluster.lab, "verify", "--quick")
