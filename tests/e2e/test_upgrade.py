"""Running clusters brought to the next minor version, with a web service under constant requests; for real.

The tests of one cluster build on each other, in their order: each cluster is made once and upgraded once.
"""

import http.client
import itertools
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterctl.lab.lab import Lab
from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe
from tests.e2e.running import start
from tests.e2e.test_bootstrap import clusterctl, ok
from tests.e2e.test_ha import KUBECTL, wait_until

pytestmark = pytest.mark.e2e

OLDER, OLD, NEW = "1.34.4", "1.35.4", "1.36.3"
DRAINED = ("step-changed", "upgrade/drain")
NODE_PORT = 30080
# Two pods that may stand on control planes as well, so that there is room while a worker is empty.
WEB = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      tolerations: [{{key: node-role.kubernetes.io/control-plane, operator: Exists}}]
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector: {{matchLabels: {{app: web}}}}
      containers:
        - name: web
          image: nginx:1.22
          command: [nginx, -g, daemon off;]
          readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 1}}
          # Every node has to learn that this pod is no endpoint any more, before it stops to answer.
          lifecycle: {{preStop: {{exec: {{command: [sleep, "8"]}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{port: 80, nodePort: {NODE_PORT}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec:
  minAvailable: 1
  selector: {{matchLabels: {{app: web}}}}
"""


@dataclass
class Cluster:
    """A cluster with a web service."""

    lab: Lab

    def kubectl(self, words: str) -> str:
        """Run kubectl on the first control plane."""
        return self.lab.run("cp1", f"{KUBECTL} {words}")

    def upgrade(self, *words: str) -> tuple[str, ...]:
        """The words of the upgrade."""
        return ("upgrade", "--to", NEW, *words)

    def versions(self) -> dict[str, str]:
        """The kubelets' versions by node."""
        nodes = json.loads(self.kubectl("get nodes -o json"))["items"]
        return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}

    def cordoned(self) -> set[str]:
        """The nodes that take no pods."""
        nodes = json.loads(self.kubectl("get nodes -o json"))["items"]
        return {node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")}

    def web(self, *names: str) -> Callable[[], None]:
        """Ask the web service on every node in turn, or on those called so, by a new connection each time."""
        machines = [self.lab.machine(name) for name in names] or self.lab.machines
        nodes = itertools.cycle([machine.address for machine in machines])

        def ask() -> None:
            address = next(nodes)
            connection = http.client.HTTPConnection(address, NODE_PORT, timeout=5)
            try:
                connection.request("GET", "/", headers={"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
            except http.client.HTTPException as error:
                raise ConnectionError(f"{address}: {error!r}") from error
            except OSError as error:
                raise ConnectionError(f"{address}: {error!r}") from error
            finally:
                connection.close()
            if answer.status != 200:
                raise ConnectionError(f"{address}: {answer.status}")

        return ask


def made(lab: Lab) -> Cluster:
    """Bootstrap the lab, and put the web service on it."""
    ok(lab, "bootstrap", "--yes")
    lab.run("cp1", f"{KUBECTL} apply -f - <<'END'\n{WEB}END\n")
    cluster = Cluster(lab)
    cluster.kubectl("rollout status deployment web --timeout 120s")
    # The first pod may have come before the second node was there.
    cluster.kubectl("rollout restart deployment web")
    cluster.kubectl("rollout status deployment web --timeout 120s")
    return cluster


@pytest.fixture(scope="module")
def single(lab: LabFactory) -> Cluster:
    """One control plane and two workers."""
    return made(lab(control_planes=1, workers=2, name="e2e-up", kubernetes=OLD))


def killed_in_a_drain(cluster: Cluster, folder: Path) -> str:
    """Upgrade until a worker is being drained, then kill -9; the output."""
    run = start(cluster.lab, folder, *cluster.upgrade("--yes"))
    run.until(
        lambda: any(
            event["event"] == "step-started" and event["step"] == "upgrade/drain" and str(event["host"])[0] == "w"
            for event in run.events
        ),
        1500,
    )
    time.sleep(2)  # Pods are on their way out now; each takes eight seconds at least.
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    return run.said


@pytest.mark.timeout(600)
def test_a_budget_that_cannot_be_met_is_found_before_anything_moves(single: Cluster) -> None:
    """plan and upgrade refuse with the budget's and the node's name; nothing changes."""
    single.kubectl('patch pdb web --type merge -p \'{"spec": {"minAvailable": 2}}\'')
    try:
        wait_until(lambda: single.kubectl("get pdb web -o 'jsonpath={.status.disruptionsAllowed}'") == "0", 60)
        for words in (("plan", *single.upgrade()), single.upgrade("--yes")):
            refused = clusterctl(single.lab, *words)

            said = refused.stdout + refused.stderr
            assert refused.returncode == 3, said
            assert "default/web" in said
            assert "w1" in said
    finally:
        single.kubectl('patch pdb web --type merge -p \'{"spec": {"minAvailable": 1}}\'')
    wait_until(lambda: single.kubectl("get pdb web -o 'jsonpath={.status.disruptionsAllowed}'") == "1", 60)
    assert set(single.versions().values()) == {f"v{OLD}"}
    assert single.cordoned() == set()


@pytest.mark.timeout(1800)
def test_one_control_plane_is_upgraded_and_no_request_is_lost(
    single: Cluster, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """Killed in the middle of a drain, and run again: every node is at the new version, the service never failed."""
    with Probe(single.web()) as web:
        killed_in_a_drain(single, tmp_path)
        assert len(single.cordoned()) == 1

        ok(single.lab, *single.upgrade("--yes", "--write"))
        time.sleep(2)

    tell(f"upgrade: one control plane: the web service: {web}")
    assert set(single.versions().values()) == {f"v{NEW}"}
    assert single.cordoned() == set()
    assert web.lost == []
    assert web.answered > 100


@pytest.mark.timeout(300)
def test_a_second_upgrade_changes_nothing(single: Cluster) -> None:
    """Neither does bootstrap, whose inventory was written; no mark of ours is left."""
    assert "Nothing to do" in ok(single.lab, *single.upgrade("--yes"))
    plan = json.loads(ok(single.lab, "plan", "bootstrap", "--json"))
    changes = [step for step in plan["steps"] if step["verdict"] != "satisfied"]
    assert changes == []
    left = single.kubectl("get nodes -o yaml")
    assert "clusterctl.io/cordoned" not in left
    assert "clusterctl.io/to-be-drained" not in left


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_minors_drain_each_worker_once(lab: LabFactory, tmp_path: Path, tell: Callable[[str], None]) -> None:
    """kubeadm steps through every minor, the workers' kubelets jump; the service never fails."""
    cluster = made(lab(control_planes=1, workers=2, name="e2e-hops", kubernetes=OLDER))
    with Probe(cluster.web()) as web:
        run = start(cluster.lab, tmp_path, *cluster.upgrade("--via", OLD, "--yes"))
        assert run.end(3000) == 0, run.said
        time.sleep(2)

    tell(f"upgrade: two minors, one control plane: the web service: {web}")
    drained = [str(event["host"]) for event in run.events if (event["event"], event.get("step")) == DRAINED]
    assert sorted(host for host in drained if host.startswith("w")) == ["w1", "w2"]
    assert set(cluster.versions().values()) == {f"v{NEW}"}
    assert cluster.cordoned() == set()
    assert web.lost == []
    assert "Nothing to do" in ok(cluster.lab, *cluster.upgrade("--yes"))
