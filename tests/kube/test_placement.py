"""The real scheduler beside our own reckoning: it takes and refuses a pod in the same cases."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clusterctl.kube.connect.client import Kube, Object
from clusterctl.kube.observe.node import parse_taint
from clusterctl.model.facts import NodeFacts
from clusterctl.model.pods import PodFacts
from clusterctl.rules.placement import CORDONED, stranded
from tests.builders import make_pod
from tests.kube.binaries import find_binary
from tests.kube.server import ApiServer
from tests.rules.test_placement import CASES, nodes

ROOMY = {"cpu": 64_000, "memory": 256 * 2**30, "pods": 110}
# A terminating pod is in the scheduler's way until it is gone, which it will be; and that a node is not Ready is told
# to the scheduler by a taint, which a controller writes.
SAME = [case for case in CASES if not any(pod.terminating for pod in case[2]) and case[1].get("ready", True)]


@pytest.fixture(scope="module")
def scheduler(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The real scheduler, for this file alone: no other test wants its pods to be moved."""
    folder = tmp_path_factory.mktemp("scheduler")
    program = find_binary("kube-scheduler", folder, beside="kube-apiserver")
    if not program:
        pytest.skip("no kube-scheduler beside the kube-apiserver that the tests use")
    config = folder / "kubeconfig"
    config.touch(mode=0o600)
    config.write_text(api_server.kubeconfig().reveal())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0"], stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Board:
    """Nodes and pods as the scheduler sees them; nothing is left at the end."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._made: list[str] = []
        for name in ("shop", "other"):
            if kube.find(f"/api/v1/namespaces/{name}") is None:
                kube.create("/api/v1/namespaces", {"metadata": {"name": name}})

    def node(self, facts: NodeFacts) -> None:
        """A node with its room."""
        taints = [parse_taint(taint) for taint in facts.taints]
        self._create(
            "/api/v1/nodes",
            facts.name,
            {"labels": dict(facts.labels)},
            {"unschedulable": facts.unschedulable, "taints": taints},
        )
        room = {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in facts.allocatable.items()}
        self._kube.patch(
            f"/api/v1/nodes/{facts.name}/status", {"metadata": {}, "status": {"allocatable": room, "capacity": room}}
        )

    def pod(self, facts: PodFacts) -> str:
        """A pod, which runs on its node, or waits for the scheduler when it has none."""
        requests = {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in facts.requests.items()}
        ports = [
            {"protocol": protocol, "containerPort": int(number), "hostPort": int(number)}
            for protocol, number in map(str.split, facts.host_ports)
        ]
        container = {"name": "c", "image": "none", "resources": {"requests": requests}, "ports": ports}
        place = {"nodeName": facts.node} if facts.node else {}
        collection = f"/api/v1/namespaces/{facts.namespace}/pods"
        spec = {"containers": [container], **place, **facts.scheduling}
        path = self._create(collection, facts.name, {"labels": dict(facts.labels)}, spec)
        if facts.node:
            self._kube.patch(f"{path}/status", {"metadata": {}, "status": {"phase": facts.phase}})
        return path

    def verdict(self, path: str, *, patience: float) -> tuple[str, str]:
        """The node that the scheduler took; nothing, and what it says, once it has refused for ``patience`` seconds."""
        refused, said = None, "the scheduler says nothing"
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pod = self._kube.get(path)
            if pod["spec"].get("nodeName"):
                return str(pod["spec"]["nodeName"]), ""
            told = [each["message"] for each in pod["status"].get("conditions") or [] if each["status"] == "False"]
            if told and "0/2 nodes" in told[0]:
                said, refused = told[0], refused or time.monotonic()
                if time.monotonic() >= refused + patience:
                    break
            time.sleep(0.05)
        return "", said

    def clear(self) -> None:
        """Nothing is left."""
        for path in reversed(self._made):
            self._kube.delete(path, {"gracePeriodSeconds": 0})

    def _create(self, collection: str, name: str, metadata: Object, spec: Object) -> str:
        self._kube.create(collection, {"metadata": {"name": name, **metadata}, "spec": spec})
        self._made.append(f"{collection}/{name}")
        return self._made[-1]


@pytest.fixture
def board(kube: Kube, scheduler: None) -> Iterator[Board]:
    """An empty cluster with a scheduler."""
    made = Board(kube)
    yield made
    made.clear()


@pytest.mark.parametrize(("scheduling", "other", "there", "expected"), SAME)
def test_the_scheduler_agrees(
    board: Board, scheduling: dict[str, Any], other: dict[str, Any], there: tuple[PodFacts, ...], expected: str
) -> None:
    """It binds the pod where we say that it goes to the other node, and refuses both nodes where we say that it cannot.

    A pod that tolerates a cordon may come back to the cordoned node.
    """
    seen = {name: replace(node, allocatable=node.allocatable or ROOMY) for name, node in nodes(**other).items()}
    pod = make_pod(scheduling=scheduling, requests={"cpu": 1000, "memory": 2**30}, host_ports=frozenset({"TCP 443"}))
    board.node(replace(seen["w1"], unschedulable=True, taints=(CORDONED,)))
    board.node(seen["w2"])
    for each in there:
        board.pod(each)

    ours = stranded("w1", [pod], [pod, *there], seen, {})
    node, said = board.verdict(board.pod(replace(pod, node="")), patience=0.3 if ours else 5)

    assert bool(ours) is bool(expected)
    assert bool(node) is not bool(ours), said or node
