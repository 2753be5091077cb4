"""The verification: its judgement in tables, its course against a real API server with simulated nodes."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterctl.errors import KubernetesError
from clusterctl.kube.connect.client import Kube
from clusterctl.kube.observe.problems import pod_problem
from clusterctl.kube.verify.traffic import (
    Answer,
    Window,
    affinity_problems,
    direct_problems,
    dns_problems,
    headless_problems,
    last_round,
    namespace_problems,
    node_port_problems,
    service_problems,
    windows,
)
from clusterctl.kube.verify.verify import LABEL, VerifyResult, places_for_pods, verify
from clusterctl.model.facts import NodeFacts
from clusterctl.render import document
from tests.kube.server import NOBODY, ApiServer
from tests.kube.simulator import Simulator, good_load, good_log

REPLICAS = {"10.10.0.1": "web-0", "10.10.0.2": "web-1"}


def test_the_newest_complete_round_counts() -> None:
    """A round that is still being written, and lines of anybody else, are left out."""
    log = "curl: weird\n1 dns n = web-0\n1 end\n2 dns n ! curl: (6) no such host\n2 end\n3 dns n = web-1\n"

    assert last_round(log) == (Answer("dns", "n", False, "curl: (6) no such host"),)


def test_no_complete_round_is_no_answer() -> None:
    """Nothing is concluded from half a round."""
    assert last_round("1 dns n = web-0\n") is None


def answers(kind: str, *texts: str, target: str = "t") -> tuple[Answer, ...]:
    """Answers of one kind; a text that starts with ``!`` is a problem."""
    return tuple(Answer(kind, target, not text.startswith("!"), text.removeprefix("!")) for text in texts)


def ask_nodes(given: tuple[Answer, ...], replicas: dict[str, str]) -> Iterator[str]:
    """Judge the answers of two nodes."""
    return node_port_problems(given, replicas, ["10.0.0.1", "10.0.0.2"])


def ask_other(given: tuple[Answer, ...], replicas: dict[str, str]) -> Iterator[str]:
    """Judge what the other namespace answers."""
    return namespace_problems(given)


@pytest.mark.parametrize(
    ("judge", "given", "problems"),
    [
        (
            direct_problems,
            answers("direct", "web-0", target="10.10.0.1") + answers("direct", "web-1", target="10.10.0.2"),
            [],
        ),
        (
            direct_problems,
            answers("direct", "!timed out", target="10.10.0.1"),
            ["web-0 at 10.10.0.1 is not reached: timed out", "web-1 at 10.10.0.2 was not asked"],
        ),
        (
            direct_problems,
            answers("direct", "other", target="10.10.0.1") + answers("direct", "web-1", target="10.10.0.2"),
            ["10.10.0.1 answers 'other', not web-0"],
        ),
        (service_problems, answers("service", "web-0", "web-1", "web-0"), []),
        (
            service_problems,
            answers("service", "web-0", "web-0"),
            ["the Service did not lead to web-1 in 2 requests"],
        ),
        (service_problems, answers("service", "web-0", "!refused"), ["the Service at t is not reached: refused"]),
        (service_problems, (), ["the Service was not asked"]),
        (dns_problems, answers("dns", "web-1"), []),
        (dns_problems, answers("dns", "!no such host"), ["t is not reached: no such host"]),
        (dns_problems, answers("dns", "<html>"), ["t answers '<html>'"]),
        (dns_problems, (), ["the Service was not asked by name"]),
        (affinity_problems, answers("affinity", "web-1", "web-1"), []),
        (
            affinity_problems,
            answers("affinity", "web-1", "web-0"),
            ["one client was led to web-0 and web-1 in 2 requests"],
        ),
        (affinity_problems, answers("affinity", "!refused"), ["the Service at t is not reached: refused"]),
        (affinity_problems, answers("affinity", "<html>"), ["the Service answers '<html>'"]),
        (affinity_problems, (), ["the Service with session affinity was not asked"]),
        (
            ask_nodes,
            answers("node-port", "web-0", target="10.0.0.1") + answers("node-port", "web-1", target="10.0.0.2"),
            [],
        ),
        (
            ask_nodes,
            answers("node-port", "!timed out", target="10.0.0.1"),
            ["the node at 10.0.0.1 does not answer: timed out", "the node at 10.0.0.2 was not asked"],
        ),
        (headless_problems, answers("headless", "10.10.0.2 10.10.0.1"), []),
        (headless_problems, answers("headless", "10.10.0.2"), ["t gives 10.10.0.2, not 10.10.0.1 10.10.0.2"]),
        (headless_problems, answers("headless", "!no address"), ["t: no address"]),
        (headless_problems, (), ["the headless Service's name was not looked up"]),
        (ask_other, answers("namespace", "other"), []),
        (ask_other, answers("namespace", "web-0"), ["t answers 'web-0'"]),
        (ask_other, answers("namespace", "!no name"), ["t is not reached: no name"]),
        (ask_other, (), ["the other namespace was not asked"]),
    ],
)
def test_answers_are_judged(
    judge: Callable[[tuple[Answer, ...], dict[str, str]], Iterator[str]],
    given: tuple[Answer, ...],
    problems: list[str],
) -> None:
    """Each problem names what was not reached and why."""
    assert list(judge(given, REPLICAS)) == problems


def test_lines_of_constant_requests_are_read() -> None:
    """Half a line and lines of anybody else are left out."""
    log = "sh: weird\n7 load 5 0 12 \n8 load 2 1 4001 curl: (28) timed out \n9 load 5 0"

    assert windows(log) == (Window(7, 5, 0, 12), Window(8, 2, 1, 4001, "curl: (28) timed out"))


def pod(phase: str = "Pending", *, conditions: list[dict[str, str]] | None = None, **status: Any) -> dict[str, Any]:
    """A pod in some state."""
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "conditions": conditions or [], **status}}


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (pod("Running", conditions=[{"type": "Ready", "status": "True"}]), ""),
        (pod("Succeeded"), ""),
        ({"metadata": {"name": "p", "deletionTimestamp": "now"}, "status": {"phase": "Running"}}, ""),
        ({"metadata": {"ownerReferences": [{"controller": True}]}, "status": {"phase": "Failed"}}, ""),
        (pod("Failed", reason="Evicted"), "Evicted"),
        (pod(), "Pending"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]),
            "not scheduled: 0/1 nodes are available",
        ),
        (
            pod(
                initContainerStatuses=[{"state": {"terminated": {"reason": "Completed"}}}],
                containerStatuses=[{"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}],
            ),
            "ErrImagePull: not found",
        ),
        (
            pod(
                "Running",
                conditions=[{"type": "Ready", "status": "False", "message": "containers with unready status: [a]"}],
                containerStatuses=[{"state": {"running": {}}}],
            ),
            "containers with unready status: [a]",
        ),
    ],
)
def test_a_pods_problem_is_told_in_the_kubelets_words(item: dict[str, Any], problem: str) -> None:
    """The most telling reason comes first; finished pods have none."""
    assert pod_problem(item) == problem


def node(name: str, *taints: str, ready: bool = True, unschedulable: bool = False) -> NodeFacts:
    """A node with taints."""
    return NodeFacts(name, ready, "", "1.36.3", "", False, unschedulable, taints=taints)


CONTROL_PLANE = "node-role.kubernetes.io/control-plane:NoSchedule"


@pytest.mark.parametrize(
    ("nodes", "places"),
    [
        ([node("cp", CONTROL_PLANE), node("w1"), node("w2")], (2, False)),
        ([node("cp", CONTROL_PLANE), node("w1"), node("w2", unschedulable=True)], (1, False)),
        ([node("cp", CONTROL_PLANE), node("w1", "gpu:NoSchedule"), node("w2", ready=False)], (1, True)),
        ([node("w1", "a:PreferNoSchedule")], (1, False)),
        ([node("cp1", CONTROL_PLANE), node("cp2", CONTROL_PLANE)], (2, True)),
    ],
)
def test_web_pods_go_where_pods_may_go(nodes: list[NodeFacts], places: tuple[int, bool]) -> None:
    """The control plane's taint is tolerated when there is nothing else."""
    assert places_for_pods(nodes) == places


def test_the_clients_script_writes_what_is_read(tmp_path: Path) -> None:
    """The log of the shell script in the client's manifest is what the judgement reads."""
    manifest = document(
        "verify/client.yaml.j2",
        namespace="n",
        image="nginx:1.22",
        replicas="10.10.0.1 fd00::2",
        service_address="10.96.0.50",
        service_name="web.n.svc",
        requests="2",
        quick=False,
        affinity_address="10.96.0.51",
        nodes="10.0.0.1 10.0.0.2",
        node_port="30080",
        headless_name="localhost",
        other_name="other.m.svc",
    )
    container = yaml.safe_load(manifest)["spec"]["template"]["spec"]["containers"][0]
    local = " ".join(sorted({str(entry[4][0]) for entry in socket.getaddrinfo("localhost", None)}))
    curl = tmp_path / "curl"
    curl.write_text(
        '#!/bin/sh\nfor url; do :; done\ncase $url in *web.n.svc*) echo "curl: (6) no" >&2; exit 6;; esac\n'
        'echo "answer of $url"\n'
    )
    curl.chmod(0o755)
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    with subprocess.Popen(
        [*container["command"], *container["args"]],
        env={**environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "1 end\n":
                break
        process.terminate()
        process.stdout.read()

    assert last_round("".join(lines)) == (
        Answer("direct", "10.10.0.1", True, "answer of http://10.10.0.1:8080/"),
        Answer("direct", "fd00::2", True, "answer of http://[fd00::2]:8080/"),
        Answer("service", "10.96.0.50", True, "answer of http://10.96.0.50:80/"),
        Answer("service", "10.96.0.50", True, "answer of http://10.96.0.50:80/"),
        Answer("dns", "web.n.svc", False, "curl: (6) no"),
        Answer("affinity", "10.96.0.51", True, "answer of http://10.96.0.51:80/"),
        Answer("affinity", "10.96.0.51", True, "answer of http://10.96.0.51:80/"),
        Answer("node-port", "10.0.0.1", True, "answer of http://10.0.0.1:30080/"),
        Answer("node-port", "10.0.0.2", True, "answer of http://10.0.0.2:30080/"),
        Answer("headless", "localhost", True, local),
        Answer("namespace", "other.m.svc", True, "answer of http://other.m.svc:80/"),
    )


@pytest.mark.parametrize(
    ("curl", "expected"),
    [
        ("echo 0.001234", (5, 0, 1, "")),
        ("echo 1.089000", (5, 0, 1089, "")),
        ("echo 0.9", (5, 0, 900, "")),
        ("echo 'curl: (7) refused' >&2; exit 7", (1, 1, 0, "curl: (7) refused")),
    ],
)
def test_the_loads_script_writes_what_is_read(tmp_path: Path, curl: str, expected: tuple[int, int, int, str]) -> None:
    """curl's seconds become milliseconds, and a lost request ends the line, with its reason."""
    manifest = document(
        "verify/client.yaml.j2",
        **dict.fromkeys(
            ("namespace", "image", "replicas", "service_name", "requests", "affinity_address", "nodes", "node_port"), ""
        ),
        **dict.fromkeys(("headless_name", "other_name"), ""),
        service_address="10.96.0.50",
        quick=False,
    )
    container = yaml.safe_load(manifest)["spec"]["template"]["spec"]["containers"][1]
    (tmp_path / "curl").write_text(f"#!/bin/sh\n{curl}\n")
    (tmp_path / "curl").chmod(0o755)
    environment = {"SERVICE_ADDRESS": "10.96.0.50", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [*container["command"], *container["args"]], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
        process.stdout.read()

    assert windows(line) == (Window(1, *expected),)


@pytest.fixture
def simulator(api_server: ApiServer, kube: Kube, make_node: Callable[..., str]) -> Iterator[Simulator]:
    """A cluster of a control plane and two workers that works."""
    system = "/api/v1/namespaces/kube-system/pods"
    playing = Simulator(kube, api_server.folder)
    for name in ("cp1", "w1", "w2"):
        make_node(name, taints=[{"key": CONTROL_PLANE.partition(":")[0], "effect": "NoSchedule"}] * (name == "cp1"))
        kube.patch(
            f"/api/v1/nodes/{name}/status",
            {
                "metadata": {},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": playing.kubelet_port}},
                },
            },
        )
    with playing.running():
        playing._run_pod("kube-system", "etcd-cp1", "etcd", "cp1", "10.10.9.9")
        yield playing
        kube.delete(f"{system}/etcd-cp1", {"gracePeriodSeconds": 0})


def checks(result: VerifyResult) -> dict[str, bool]:
    """How each check went."""
    return {check.name: check.ok for check in result.checks}


def left(kube: Kube) -> list[str]:
    """The namespaces of verifications that are there."""
    return [item["metadata"]["name"] for item in kube.items("/api/v1/namespaces", {"labelSelector": LABEL})]


@pytest.mark.usefixtures("simulator")
def test_a_good_cluster_is_verified(kube: Kube) -> None:
    """All checks are made, told and true, and nothing is left."""
    said: list[str] = []

    result = verify(kube, said.append, image="nginx:1.22", deadline=60, version="1.36.3")

    assert result.ok, result
    assert [check.name for check in result.checks] == [
        "nodes",
        "system pods",
        "web pods",
        "client pods",
        "pod network",
        "service",
        "dns",
        "session affinity",
        "node port",
        "headless",
        "namespaces",
        "kubelets",
        "pod replaced",
        "rolling update",
        "bad image",
        "rollback",
        "clean-up",
    ]
    assert result.checks[0].detail == "3 nodes Ready at 1.36.3"
    rollout = next(check for check in result.checks if check.name == "rolling update")
    assert rollout.measured.keys() == {"took_seconds", "requests", "lost", "worst_ms"}
    assert rollout.measured["requests"] > 0
    assert rollout.measured["lost"] == 0
    assert "pod network: each web pod is reached from 3 nodes" in said
    assert left(kube) == []


@pytest.mark.usefixtures("simulator")
def test_a_quick_verification_changes_nothing_under_load(kube: Kube) -> None:
    """It has the pod network, a Service and DNS, in one namespace."""
    result = verify(kube, lambda _: None, image="nginx:1.22", deadline=60, quick=True)

    assert result.ok, result
    assert list(checks(result)) == [
        "nodes", "system pods", "web pods", "client pods", "pod network", "service", "dns", "clean-up",
    ]  # fmt: skip
    assert left(kube) == []


@pytest.mark.usefixtures("simulator")
def test_a_host_that_is_no_node_fails_the_first_check(kube: Kube) -> None:
    """The inventory's hosts are all there, or it is told which one is not."""
    result = verify(kube, lambda _: None, image="nginx:1.22", deadline=0.1, nodes=["cp1", "w1", "w9"])

    assert checks(result) == {"nodes": False}
    assert result.checks[0].detail == "w9 is not a node of the cluster"


def test_a_lost_request_fails_the_change_it_fell_into(kube: Kube, simulator: Simulator) -> None:
    """How many of how many, from where, and the first reason; what follows is not tried, and all is cleaned up."""

    def load(node: str, number: int) -> str:
        lost = node == "w1" and kube.find(f"/apis/apps/v1/namespaces/{left(kube)[0]}/deployments/web")
        revised = lost and lost["metadata"]["generation"] > 1
        return f"{number} load 3 1 17 curl: (7) refused \n" if revised else good_load(node, number)

    simulator.load = load

    result = verify(kube, lambda _: None, image="nginx:1.22", deadline=60)

    failed = result.checks[-2]
    assert failed.name == "rolling update"
    assert failed.detail.startswith("from w1: ")
    assert "requests were lost, first: curl: (7) refused" in failed.detail
    assert failed.measured["lost"] > 0
    assert left(kube) == []


def test_an_update_that_takes_old_pods_away_too_early_fails(kube: Kube, simulator: Simulator) -> None:
    """An image that cannot start must leave the old pods alone."""
    simulator.keeps_old_pods = False

    result = verify(kube, lambda _: None, image="nginx:1.22", deadline=60)

    assert result.checks[-2].name == "bad image"
    assert result.checks[-2].detail == "0 of 2 old web pods are left"


def test_what_waiting_does_not_mend_is_not_waited_for(
    kube: Kube, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that cannot be pulled ends the verification long before its deadline, in the kubelet's words."""
    monkeypatch.setattr("clusterctl.kube.verify.checking.HOPELESS", 1.0)
    simulator.pulls_images = False

    result = verify(kube, lambda _: None, image="nginx:9", deadline=60)

    failed = result.checks[-2]
    assert failed.name == "web pods"
    assert failed.seconds < 20
    assert "ErrImagePull: nginx:9: not found" in failed.detail
    assert failed.detail.endswith("waiting does not mend it")
    assert left(kube) == []


@pytest.mark.usefixtures("simulator")
def test_a_node_at_another_version_fails_the_first_check(kube: Kube) -> None:
    """Nothing is started on a cluster whose nodes are not as they shall be."""
    result = verify(kube, lambda _: None, image="nginx:1.22", deadline=0.1, version="1.37.0")

    assert checks(result) == {"nodes": False}
    assert "w1 runs 1.36.3, not 1.37.0" in result.checks[0].detail


def test_what_a_node_does_not_reach_is_told(kube: Kube, simulator: Simulator) -> None:
    """The failed checks name the node, the target and the problem; the others are true; all is cleaned up."""

    def log(node: str, replicas: dict[str, str]) -> str:
        good = good_log(node, replicas)
        return good.replace("1 dns web.x.svc = web-0", "1 dns web.x.svc ! no such host") if node == "w2" else good

    simulator.log = log

    result = verify(kube, lambda _: None, image="nginx:1.22", deadline=8)

    assert checks(result)["service"]
    assert not checks(result)["dns"]
    failed = next(check for check in result.checks if check.name == "dns")
    assert failed.detail == "from w2: web.x.svc is not reached: no such host"
    assert left(kube) == []


def test_an_interrupted_verification_cleans_up(kube: Kube, simulator: Simulator) -> None:
    """Ctrl-C ends it after the namespace is gone."""
    simulator.starts_web_pods = False

    def report(text: str) -> None:
        if text.startswith("web pods: waiting"):
            assert left(kube)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(kube, report, image="nginx:1.22", deadline=60)

    assert left(kube) == []


def test_a_second_interruption_leaves_nothing_that_stays(kube: Kube, simulator: Simulator) -> None:
    """Whoever does not wait for the end of the clean-up has already ordered it."""
    simulator.starts_web_pods = False

    def report(text: str) -> None:
        if text.startswith(("web pods: waiting", "removing")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(kube, report, image="nginx:1.22", deadline=60)

    for _ in range(100):
        if not left(kube):
            break
        time.sleep(0.1)
    assert left(kube) == []


@pytest.mark.usefixtures("simulator")
def test_what_is_kept_is_named(kube: Kube) -> None:
    """The operator is told how to remove it."""
    said: list[str] = []

    result = verify(kube, said.append, image="nginx:1.22", deadline=60, keep=True)

    one, two = left(kube)
    for name in (one, two):
        kube.delete(f"/api/v1/namespaces/{name}")
    assert result.ok
    assert said[-1] == f"the namespaces {one} and {two} are kept; remove with: kubectl delete namespace {one} {two}"


@pytest.mark.usefixtures("simulator")
def test_what_a_killed_verification_left_is_removed(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace of ours that is old goes; a young one may be at work and stays."""
    from datetime import timedelta

    kube.create("/api/v1/namespaces", {"metadata": {"name": "clusterctl-verify-young", "labels": {LABEL: "true"}}})
    verify(kube, lambda _: None, image="nginx:1.22", deadline=60, quick=True)
    assert left(kube) == ["clusterctl-verify-young"]

    monkeypatch.setattr("clusterctl.kube.verify.verify._LEFT_BEHIND", timedelta(seconds=-1))
    said: list[str] = []
    verify(kube, said.append, image="nginx:1.22", deadline=60, quick=True)

    assert "removing the namespace clusterctl-verify-young of an earlier run" in said
    assert left(kube) == []


def test_missing_rights_are_an_error(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be set up is no failed check, and nothing is waited for."""
    monkeypatch.setattr("clusterctl.kube.verify.verify._nodes", lambda *_: _seen())
    monkeypatch.setattr("clusterctl.kube.verify.verify._system_pods", lambda *_: _seen())

    with Kube(api_server.kubeconfig(token=NOBODY)) as kube, pytest.raises(KubernetesError, match="403 Forbidden"):
        verify(kube, lambda _: None, image="nginx:1.22", deadline=60)


def _seen() -> object:
    from clusterctl.kube.verify.checking import Seen

    return Seen(note="fine")
