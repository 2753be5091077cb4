"""Draining nodes of a real API server, rule by rule, beside kubectl itself."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from clusterctl.errors import ClusterctlError, KubernetesError, NotVerified, OutcomeUnknown, Refused
from clusterctl.kube.change.changes import Changes
from clusterctl.kube.connect.client import Kube, Object, Query
from clusterctl.kube.connect.errors import ApiError
from clusterctl.kube.drain import drain
from clusterctl.kube.observe.cluster import observe
from clusterctl.kube.observe.node import CONTROL_PLANE, CORDONED_ANNOTATION
from clusterctl.kube.observe.pods import MIRROR_ANNOTATION, read_pods
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Budget, Owner
from clusterctl.rules.drain import SOFT_TAINT
from tests.kube.binaries import find_binary
from tests.kube.relay import Relay
from tests.kube.server import ApiServer, free_port
from tests.kube.stage import Pdb, Pod, Stage

EMPTY_DIR = ({"name": "cache", "emptyDir": {}},)
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
MIRROR = {MIRROR_ANNOTATION: "digest"}
STAYS = {"a", "b"}

Act = Callable[[Stage], None]


def _nothing(stage: Stage) -> None:
    """Nothing else is so."""


@dataclass(frozen=True)
class Case:
    """Pods on a node, and what a drain with these options makes of them: the pods that are left, and how it ends.

    ``kubectl`` is where kubectl does otherwise, on purpose of ours: whether it succeeds, and what it leaves.
    """

    pods: tuple[Pod, ...]
    left: set[str] = field(default_factory=set)
    options: dict[str, Any] = field(default_factory=dict)
    error: type[ClusterctlError] | None = None
    says: str = ""
    budgets: tuple[Pdb, ...] = ()
    prepare: Act = _nothing
    meanwhile: Act = _nothing
    stuck: tuple[str, ...] = ()
    revived: tuple[Pod, ...] = ()
    kubectl: tuple[bool, set[str]] | None = None


def _daemon_set(stage: Stage) -> None:
    stage.daemon_set("agent")


def _delete_a(stage: Stage) -> None:
    stage.delete("a")


def _delete_a_long_ago(stage: Stage) -> None:
    stage.delete("a", grace=1)
    time.sleep(3.5)


def _allow(stage: Stage) -> None:
    stage.count(Pdb("web", allowed=1))


def _end_namespace(stage: Stage) -> None:
    stage.kube.delete(f"/api/v1/namespaces/{stage.namespace}")


def _end_namespace_of_a_deleted_pod(stage: Stage) -> None:
    stage.delete("a")
    _end_namespace(stage)


def _let_a_end(stage: Stage) -> None:
    stage.stuck.discard("a")


def _move_a_and_allow(stage: Stage) -> None:
    stage.delete("a", grace=0)
    successor = Pod("a", owner="StatefulSet/db", more={"terminationGracePeriodSeconds": 0})
    stage.kube.create(stage.pods, successor.manifest("another-node"))
    _allow(stage)


A, B = Pod("a"), Pod("b")
LONELY = Pod("a", owner="")
AGENT = Pod("a", owner="DaemonSet/agent")
CACHE = Pod("a", volumes=EMPTY_DIR)
FORCE = {"force": True}
GIVE_UP = {"delete_emptydir_data": True}
HELD = Pdb("web", allowed=0)

CASES = {
    "daemonSet/exists: skipped": Case((AGENT, B), {"a"}, prepare=_daemon_set),
    "daemonSet/404: error": Case((AGENT, B), STAYS, error=Refused, says="DaemonSet agent, which does not exist"),
    "daemonSet/404 and force: deleted": Case((AGENT, B), options=FORCE),
    "daemonSet/404 and finished: deleted": Case((Pod("a", owner="DaemonSet/agent", phase="Failed"),)),
    "daemonSet/of another group: evicted": Case((Pod("a", owner="apps.example.io/v1/DaemonSet/agent"),)),
    "daemonSet/exists with emptyDir: skipped": Case(
        (Pod("a", owner="DaemonSet/agent", volumes=EMPTY_DIR),), {"a"}, prepare=_daemon_set
    ),
    "mirror: skipped": Case((Pod("a", owner="v1/Node/cp1", annotations=MIRROR), B), {"a"}),
    "localStorage: error": Case((CACHE, B), STAYS, error=Refused, says="emptyDir cache"),
    "localStorage with delete-emptydir-data: evicted": Case((CACHE, B), options=GIVE_UP),
    "localStorage finished: evicted": Case((Pod("a", phase="Succeeded", volumes=EMPTY_DIR),)),
    "unreplicated: error": Case((LONELY, B), STAYS, error=Refused, says="has no controller"),
    "unreplicated with force: evicted": Case((LONELY, B), options=FORCE),
    "unreplicated finished: evicted": Case((Pod("a", owner="", phase="Failed"),)),
    "unreplicated with force keeps data: error": Case(
        (Pod("a", owner="", volumes=EMPTY_DIR), B), STAYS, options=FORCE, error=Refused, says="emptyDir cache"
    ),
    "several reasons: all are told": Case(
        (LONELY, Pod("b", volumes=EMPTY_DIR)), STAYS, error=Refused, says="2 pods may not be deleted"
    ),
    "skipDeleted: left behind": Case(
        (A, B), {"a"}, {"skip_wait_for_delete_timeout": 1}, prepare=_delete_a_long_ago, stuck=("a",)
    ),
    "nothing to do": Case(()),
    "201: evicted": Case((A, B), budgets=(Pdb("web", allowed=2),)),
    "pending: the budget is not asked": Case((Pod("a", phase="Pending"),), budgets=(HELD,)),
    "deleting already: waited for": Case((A,), prepare=_delete_a, stuck=("a",), meanwhile=_let_a_end),
    "429, then allowed": Case((A,), budgets=(HELD,), meanwhile=_allow),
    "429 until the deadline": Case(
        (A, Pod("b", labels={})),
        {"a"},
        {"timeout": 4},
        NotVerified,
        r"PDB \S+/web allows no eviction: 1 of 1 available, 1 needed",
        budgets=(HELD,),
    ),
    "500 of two budgets: error": Case(
        (A, Pod("b", labels={})),
        {"a"},
        error=KubernetesError,
        says=r"more than one PodDisruptionBudget.* \(PDB \S+/web, PDB \S+/zone\)",
        budgets=(Pdb("web", allowed=1), Pdb("zone", allowed=1)),
    ),
    "403 NamespaceTerminating, deleted: waited for": Case(
        (A,), prepare=_end_namespace_of_a_deleted_pod, stuck=("a",), meanwhile=_let_a_end
    ),
    "403 NamespaceTerminating, not deleted: asked again": Case(
        # kubectl does not look whether the pod is still there, and so asks until its deadline.
        (A,),
        options={"timeout": 4},
        prepare=_end_namespace,
        meanwhile=_delete_a,
        kubectl=(False, set()),
    ),
    "another UID: gone": Case((Pod("a", owner="StatefulSet/db"),), {"a"}, revived=(Pod("a", owner="StatefulSet/db"),)),
    "another UID on another node: left alone": Case(
        # kubectl takes what it finds under the name after a refusal, and evicts that.
        (Pod("a", owner="StatefulSet/db"),),
        {"a"},
        budgets=(HELD,),
        meanwhile=_move_a_and_allow,
        kubectl=(True, set()),
    ),
    "grace-period 0: killed": Case((A,), options={"grace_period": 0}, stuck=("a",)),
    "disable-eviction: the budget is not asked": Case((A,), options={"disable_eviction": True}, budgets=(HELD,)),
    "timeout while terminating": Case(
        (A,), {"a"}, {"timeout": 1}, NotVerified, "1 pod still there.*\n.*a: is terminating", stuck=("a",)
    ),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than the test needs."""
    monkeypatch.setattr(drain, "_POLL", 0.1)
    monkeypatch.setattr(drain, "_RETRY", 0.3)


@pytest.fixture
def stage(kube: Kube, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Stage]]:
    """Make nodes, each with a namespace of the same name, and clear them away."""
    with ExitStack() as made:
        yield lambda name: made.enter_context(Stage(kube, name))


@contextmanager
def played(stage: Stage, case: Case) -> Iterator[None]:
    """Make of a case what it says, and let happen what happens meanwhile."""
    stage.stuck |= set(case.stuck)
    stage.revived |= {pod.name: pod for pod in case.revived}
    stage.add(*case.pods)
    for budget in case.budgets:
        stage.protect(budget)
    case.prepare(stage)
    if case.meanwhile is _nothing:
        yield
        return
    thread = threading.Thread(target=_once_begun, args=(stage, case.meanwhile))
    thread.start()
    yield
    thread.join()


def _once_begun(stage: Stage, act: Act) -> None:
    """Act when the drain is under way: it begins with the cordon, and then asks for the first time at once."""
    end = time.monotonic() + 30
    while not stage.kube.get(f"/api/v1/nodes/{stage.node}")["spec"].get("unschedulable"):
        assert time.monotonic() < end, "nobody cordoned the node"
        time.sleep(0.1)
    time.sleep(1.0)
    act(stage)


def run(kube: Kube, node: str, **options: Any) -> list[str]:
    """Cordon and drain; what was said."""
    said: list[str] = []
    changes = Changes(kube)
    changes.cordon(node, by="ada@desk")
    changes.drain(node, DrainOptions(**options), said.append, lambda: False)
    return said


@pytest.mark.parametrize("name", CASES)
def test_pods_leave_by_kubectls_rules(name: str, stage: Callable[[str], Stage]) -> None:
    """Each rule decides over a pod as it does for kubectl."""
    case = CASES[name]
    place = stage(f"ours-{list(CASES).index(name)}")

    with played(place, case):
        if case.error:
            with pytest.raises(case.error) as caught:
                run(place.kube, place.node, **case.options)
            assert re.search(case.says, str(caught.value)), caught.value
        else:
            run(place.kube, place.node, **case.options)

    assert set(place.left()) == case.left
    if case.error is Refused:
        assert not any(place.left().values()), "something was evicted although there was a reason not to"


@pytest.fixture(scope="session")
def kubectl(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The real kubectl, on the same API server."""
    folder = tmp_path_factory.mktemp("kubectl")
    binary = find_binary("kubectl", folder, beside="kube-apiserver")
    if not binary:
        pytest.skip("no kubectl: name its folder with CLUSTERCTL_TEST_BIN, or let the lab build it")
    config = folder / "kubeconfig"
    config.touch(mode=0o600)
    config.write_text(api_server.kubeconfig().reveal(), encoding="utf-8")
    return [str(binary), f"--kubeconfig={config}"]


def test_kubectl_does_the_same(api_server: ApiServer, kubectl: list[str]) -> None:
    """The table is what ``kubectl drain`` does, all cases side by side, and not what we think it does."""

    def drained(number: int, case: Case) -> tuple[bool, set[str]]:
        flags = [
            f"--{key.replace('_', '-')}={str(value).lower()}{'s' if key == 'timeout' else ''}"
            for key, value in case.options.items()
        ]
        with Kube(api_server.kubeconfig()) as kube, Stage(kube, f"kubectl-{number}") as place, played(place, case):
            command = [*kubectl, "drain", place.node, "--ignore-daemonsets", *flags]
            done = subprocess.run(command, capture_output=True, timeout=90)
            return done.returncode == 0, set(place.left())

    with ThreadPoolExecutor(max_workers=6) as pool:
        answers = {name: pool.submit(drained, number, case) for number, (name, case) in enumerate(CASES.items())}

    assert {name: answer.result() for name, answer in answers.items()} == {
        name: case.kubectl or (case.error is None, case.left) for name, case in CASES.items()
    }


@pytest.mark.parametrize(("grace", "seconds"), [(-1, 30), (7, 7)])
def test_pods_get_the_time_that_they_or_we_say(grace: int, seconds: int, stage: Callable[[str], Stage]) -> None:
    """Without a grace period the pod's own counts, and none is sent."""
    place = stage(f"grace-{seconds}")
    place.add(A)
    place.stuck.add("a")

    with pytest.raises(NotVerified):
        run(place.kube, place.node, grace_period=grace, timeout=1)

    found = place.found("a")
    assert found
    assert found["metadata"]["deletionGracePeriodSeconds"] == seconds


def test_a_budget_whose_controller_lags_is_told_so(
    stage: Callable[[str], Stage],
) -> None:
    """The API server refuses although the budget's numbers would allow it; run again, the drain goes on."""
    place = stage("stale")
    place.add(A)
    place.protect(Pdb("web", allowed=1, stale=True))
    with pytest.raises(NotVerified, match=r"PDB stale/web was changed and its controller has not counted since"):
        run(place.kube, place.node, timeout=1)
    place.count(Pdb("web", allowed=1))
    run(place.kube, place.node)

    assert place.left() == {}


def test_what_is_waited_for_is_said(stage: Callable[[str], Stage]) -> None:
    """The budget with its numbers and for how long, which pods are leaving, and in the end what the budget misses."""
    place = stage("told")
    place.add(A, Pod("b", labels={}), Pod("c", labels={}))
    place.stuck |= {"b", "c"}
    place.add(Pod("d", ready=False, problem="back-off pulling image"), bound=False)
    place.protect(Pdb("web", allowed=0, healthy=3, needed=3, expected=4))

    said: list[str] = []
    with pytest.raises(NotVerified) as caught:
        Changes(place.kube).drain("told", DrainOptions(timeout=2), said.append, lambda: False)

    assert said[-1] == "waiting for PDB told/web (3 of 4 available), 0:01; leaving: told/b, told/c"
    assert str(caught.value).splitlines() == [
        "told: 3 pods still there after 0:02",
        "  told/a: PDB told/web allows no eviction: 3 of 4 available, 3 needed",
        "  told/b: is terminating",
        "  told/c: is terminating",
        "  PDB told/web misses told/d: back-off pulling image",
        "  Next: told stays cordoned; let them become ready, then look again: kubectl -n told describe pod d; then run "
        "the same command again, or let pods come back: clusterctl uncordon told",
    ]


def test_a_budget_that_never_allows_it_ends_with_the_way_out(stage: Callable[[str], Stage]) -> None:
    """One of one pods has to be there, and nobody makes another one: as with kubectl the wait ends at the deadline."""
    place = stage("never")
    place.add(A)
    place.protect(Pdb("web", allowed=0))

    with pytest.raises(NotVerified) as caught:
        Changes(place.kube).drain("never", DrainOptions(timeout=1), lambda text: None, lambda: False)

    assert caught.value.details == "never/a: PDB never/web allows no eviction: 1 of 1 available, 1 needed"
    assert caught.value.resolution.startswith("never stays cordoned; ")
    assert "kubectl -n never patch pdb web" in caught.value.resolution
    assert caught.value.resolution.endswith("let pods come back: clusterctl uncordon never")


def test_a_pod_that_its_operator_replaces_after_the_cordon_is_waited_for(stage: Callable[[str], Stage]) -> None:
    """The budget gives way during the drain, as with kubectl; until then it is told with its numbers."""
    place = stage("operated")
    place.add(A)
    place.protect(Pdb("web", allowed=0))
    place.later(1.5, lambda: place.count(Pdb("web", allowed=1, healthy=2, expected=2)))

    said: list[str] = []
    Changes(place.kube).drain("operated", DrainOptions(timeout=30), said.append, lambda: False)

    assert said[0].startswith("waiting for PDB operated/web (1 of 1 available), 0:0") or "leaving" in said[0]
    assert any(text.startswith("waiting for PDB operated/web (1 of 1 available), 0:01") for text in said)
    assert place.left() == {}


def test_a_wish_to_stop_ends_the_wait(stage: Callable[[str], Stage]) -> None:
    """Pods that were asked go on leaving; the others stay, and no error is told."""
    place = stage("stopped")
    place.add(A, Pod("b", labels={}))
    place.stuck.add("b")
    place.protect(Pdb("web", allowed=0))
    stop = threading.Event()
    place.later(0.7, stop.set)
    began = time.monotonic()

    Changes(place.kube).drain("stopped", DrainOptions(), lambda text: None, stop.is_set)

    assert time.monotonic() - began < 5
    assert place.left() == {"a": False, "b": True}


def test_pods_leave_side_by_side(stage: Callable[[str], Stage]) -> None:
    """Twenty pods that nobody ends are all terminating long before the first one is gone."""
    place = stage("many")
    pods = tuple(Pod(f"p{number}") for number in range(20))
    place.add(*pods)
    place.stuck |= {pod.name for pod in pods}

    with pytest.raises(NotVerified, match="20 pods still there"):
        run(place.kube, place.node, timeout=2)

    assert set(place.left().values()) == {True}


def test_an_api_server_that_restarts_is_waited_for(api_server: ApiServer, stage: Callable[[str], Stage]) -> None:
    """On a single control plane it may go away in the middle: neither reading nor evicting ends with it."""
    place = stage("restarted")
    place.add(A, Pod("b", labels={}))
    place.stuck.add("b")
    place.protect(Pdb("web", allowed=0))
    port = free_port()
    relay = Relay(port, api_server.port)
    relay.start()
    said: list[str] = []

    def again() -> None:
        place.count(Pdb("web", allowed=1))
        place.stuck.clear()
        second.start()

    second = Relay(port, api_server.port)
    away, back = place.later(1.0, relay.stop), place.later(3.0, again)
    with Kube(api_server.kubeconfig(server=f"https://127.0.0.1:{port}")) as kube:
        Changes(kube).drain("restarted", DrainOptions(timeout=60), said.append, lambda: False)
    away.join()
    back.join()
    second.stop()

    assert place.left() == {}
    assert any("no connection to" in text or "broke" in text for text in said), said


class Forgetful(Kube):
    """Sends every eviction, and loses the first answer to each."""

    lost: set[str]

    def create(self, path: str, body: Object) -> Object:
        """Evict, and lose the answer."""
        answer = super().create(path, body)
        if path not in self.lost:
            self.lost.add(path)
            raise OutcomeUnknown(f"{path} broke")
        return answer


def test_a_lost_answer_is_asked_again_and_disrupts_once(api_server: ApiServer, stage: Callable[[str], Stage]) -> None:
    """The pod is terminating by then, or another one: the budget is not charged twice, and no successor is met."""
    place = stage("lost")
    place.add(A, Pod("s", owner="StatefulSet/db"))
    place.stuck.add("a")
    place.revived["s"] = Pod("s", owner="StatefulSet/db")
    place.protect(Pdb("web", allowed=2, healthy=2, expected=2))

    with Forgetful(api_server.kubeconfig()) as kube:
        kube.lost = set()
        with pytest.raises(NotVerified, match=r"1 pod still there.*\n.*lost/a: is terminating"):
            Changes(kube).drain("lost", DrainOptions(timeout=3), lambda text: None, lambda: False)

    assert place.left() == {"a": True, "s": False}
    budget = place.kube.get(f"{place.budgets}/web")["status"]
    assert budget["disruptionsAllowed"] == 0
    assert set(budget["disruptedPods"]) == {"a", "s"}


class Failing(Kube):
    """Answers evictions with an error of its own for a while."""

    until: float
    status: int
    retry_after = 0.0

    def create(self, path: str, body: Object) -> Object:
        """Fail, or evict."""
        if time.monotonic() < self.until:
            raise ApiError(
                "create",
                path,
                status=self.status,
                reason="etcdserver: leader changed",
                message="",
                resolution="",
                temporary=self.status in (403, 500),
                retry_after=self.retry_after,
            )
        return super().create(path, body)


def test_a_server_that_names_a_time_is_left_alone_for_as_long(
    api_server: ApiServer, stage: Callable[[str], Stage]
) -> None:
    """What the server asks for counts when it is longer than our own pause."""
    place = stage("busy")
    place.add(A)

    with Failing(api_server.kubeconfig()) as kube:
        kube.until, kube.status, kube.retry_after = time.monotonic() + 0.2, 429, 2.0
        began = time.monotonic()
        Changes(kube).drain(place.node, DrainOptions(), lambda text: None, lambda: False)

    assert place.left() == {}
    assert time.monotonic() - began > 2


@pytest.mark.parametrize(
    ("status", "seconds", "silence", "fails"),
    [(500, 1.0, 120.0, False), (500, 60.0, 1.0, True), (400, 60.0, 120.0, True), (403, 1.0, 120.0, False)],
)
def test_what_may_pass_is_waited_out(
    status: int,
    seconds: float,
    silence: float,
    fails: bool,
    api_server: ApiServer,
    stage: Callable[[str], Stage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that fails for a moment is asked again; one that goes on so, or refuses for good, ends the drain."""
    monkeypatch.setattr(drain, "_SILENCE", silence)
    place = stage(f"fails-{status}-{seconds:.0f}")
    place.add(A, B)

    with Failing(api_server.kubeconfig()) as kube:
        kube.until, kube.status = time.monotonic() + seconds, status
        if fails:
            with pytest.raises(KubernetesError, match="2 pods cannot be evicted"):
                Changes(kube).drain(place.node, DrainOptions(), lambda text: None, lambda: False)
        else:
            Changes(kube).drain(place.node, DrainOptions(), lambda text: None, lambda: False)

    assert set(place.left()) == ({"a", "b"} if fails else set())


SELECTORS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "labels": ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}),
    "another value": ({"matchLabels": {"a": "1"}}, {"a": "2"}),
    "one of two": ({"matchLabels": {"a": "1", "b": "2"}}, {"a": "1"}),
    "in": ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}),
    "not in": ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}),
    "not in, and not there": ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}),
    "exists": ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}),
    "exists not": ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"b": "1"}),
    "both kinds": (
        {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]},
        {"a": "1"},
    ),
    "empty": ({}, {"a": "1"}),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_a_budget_covers_what_the_server_takes_it_to_cover(name: str, stage: Callable[[str], Stage]) -> None:
    """A budget that allows nothing is asked by an eviction that is not meant; the server's answer is the truth."""
    selector, labels = SELECTORS[name]
    place = stage(f"selector-{list(SELECTORS).index(name)}")
    place.add(Pod("a", labels=labels))
    place.protect(Pdb("web", allowed=0, selector=selector))
    pods = read_pods(place.kube, place.node)

    body: Object = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    answers = []
    try:
        place.kube.create(f"{place.pods}/a/eviction", {**body, "deleteOptions": {"dryRun": ["All"]}})
    except ApiError as error:
        answers.append((error.status, error.cause_types))

    assert answers == ([(429, ("DisruptionBudget",))] if pods.budgets_of(pods.pods[0]) else [])


def test_pods_are_read_in_pages(kube: Kube, stage: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 500 pods take one request more."""
    place = stage("paged")
    place.add(*(Pod(f"p{number}", owner="", phase="Pending") for number in range(510)), bound=False)
    before = len(kube.items("/api/v1/pods")) - 510
    paths: list[str] = []
    get = kube.get

    def counted(path: str, query: Query | None = None, **more: Any) -> Object:
        if "fieldSelector" not in (query or {}):  # That is the kubelet.
            paths.append(path)
        return get(path, query, **more)

    monkeypatch.setattr(kube, "get", counted)
    pods = read_pods(kube)

    names = {pod.name for pod in pods.pods if pod.namespace == "paged"}
    assert names == {f"p{number}" for number in range(510)}
    assert paths.count("/api/v1/pods") == 2 + (before + 10) // 500
    assert len(paths) <= 5


def test_a_pod_is_read_as_the_api_has_it(stage: Callable[[str], Stage]) -> None:
    """What the rules and the forecasts need, from a real API's defaults and spellings."""
    place = stage("facts")
    volumes = (
        {"name": "cache", "emptyDir": {}},
        {"name": "logs", "hostPath": {"path": "/var/log"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}},
        {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
        {"name": "settings", "configMap": {"name": "c"}},
    )
    requests = {"requests": {"cpu": "250m", "memory": "64Mi"}}
    mounts = [{"name": "logs", "mountPath": "/var/log"}]
    container = {"name": "c", "image": "none", "resources": requests, "volumeMounts": mounts}
    more = {"nodeSelector": {"disk": "ssd"}, "containers": [container, {**container, "name": "d"}]}
    place.daemon_set("agent")
    place.add(
        Pod("a", owner="StatefulSet/db", volumes=volumes, more=more, ready=False),
        Pod("b", owner="DaemonSet/agent"),
        Pod("c", owner="DaemonSet/gone", phase="Succeeded"),
    )
    place.stuck.add("b")
    place.delete("b", grace=1)
    place.protect(Pdb("web", 1, healthy=3, needed=2, expected=4, policy="AlwaysAllow"))
    time.sleep(2.2)

    read = read_pods(place.kube, "facts")

    a, b, c = sorted(read.pods, key=lambda pod: pod.name)
    assert (a.namespace, a.node, a.phase, a.labels, a.ready, a.mirror) == (
        "facts",
        "facts",
        "Running",
        {"app": "web"},
        False,
        False,
    )
    assert a.controller == Owner("StatefulSet", "db", "uid-of-db")
    assert (a.empty_dirs, a.host_paths, a.claims) == (("cache",), ("/var/log",), ("data-0", "a-own"))
    assert a.requests == {"cpu": 500, "memory": 128 * 2**20}
    assert a.scheduling["nodeSelector"] == {"disk": "ssd"}
    assert (a.terminating, a.overdue) == (False, 0.0)
    assert b.controller == Owner("DaemonSet", "agent", "uid-of-agent")
    assert b.terminating
    assert 0.5 < b.overdue < 20
    assert c.controller == Owner("DaemonSet", "gone", "uid-of-gone", present=False)
    assert c.finished
    selector = {"matchLabels": {"app": "web"}}
    mine = [budget for budget in read.budgets if budget.namespace == "facts"]
    assert mine == [Budget("facts", "web", 1, 3, 2, 4, selector=selector, unhealthy_policy="AlwaysAllow", counted=True)]


def marks(kube: Kube, node: str) -> tuple[bool, bool, tuple[str, ...]]:
    """Whether the node is unschedulable, whether it has our mark, and its taints that are not Kubernetes' own."""
    found = observe(kube).nodes[node]
    taints = tuple(taint for taint in found.taints if not taint.startswith("node.kubernetes.io/"))
    return found.unschedulable, found.cordoned is not None, taints


def test_a_cordon_is_marked_and_taken_back(kube: Kube, make_node: Callable[..., str]) -> None:
    """The mark says by whom, when, and that the node took pods before; taken off, all is as it was."""
    node = make_node("w1", taints=[{"key": "own", "effect": "NoSchedule"}])
    changes = Changes(kube)

    changes.soft_taint(node)
    changes.cordon(node, by="ada@desk")
    changes.cordon(node, by="bob@desk")
    changes.soft_taint(node)

    mark = observe(kube).nodes[node].cordoned
    assert mark
    assert (mark.by, mark.unschedulable) == ("ada@desk", False)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", mark.at)
    assert marks(kube, node) == (True, True, ("own:NoSchedule", SOFT_TAINT))
    changes.uncordon(node)
    changes.uncordon(node)
    assert marks(kube, node) == (False, False, ("own:NoSchedule",))


def test_the_mark_says_that_the_node_is_drained(stage: Callable[[str], Stage], kubectl: list[str]) -> None:
    """Only when all are gone; a pod that comes back nevertheless changes nothing, a hand that uncordons does."""
    place = stage("noted")
    place.add(A)
    place.stuck.add("a")
    place.revived["a"] = A

    def drained() -> bool:
        mark = observe(place.kube).nodes["noted"].cordoned
        assert mark
        return mark.drained

    with pytest.raises(NotVerified):
        run(place.kube, "noted", timeout=1)
    assert not drained()
    Changes(place.kube).drain("noted", DrainOptions(), lambda text: None, lambda: True)
    assert not drained()
    place.stuck.clear()
    run(place.kube, "noted")
    assert place.left() == {"a": False}
    Changes(place.kube).cordon("noted", by="bob@desk")
    assert drained()
    subprocess.run([*kubectl, "uncordon", "noted"], check=True, capture_output=True)
    Changes(place.kube).cordon("noted", by="bob@desk")
    assert not drained()


def test_the_operators_own_cordon_is_kept(kube: Kube, make_node: Callable[..., str], kubectl: list[str]) -> None:
    """A node that somebody had cordoned before stays so, and one without our mark is not touched."""
    node = make_node("w1")
    subprocess.run([*kubectl, "cordon", node], check=True, capture_output=True)
    changes = Changes(kube)

    changes.uncordon(node)
    assert marks(kube, node) == (True, False, ())
    changes.cordon(node, by="ada@desk")
    assert marks(kube, node) == (True, True, ())
    changes.uncordon(node)
    assert marks(kube, node) == (True, False, ())


def test_a_node_uncordoned_by_hand_in_between_is_cordoned_again(
    kube: Kube, make_node: Callable[..., str], kubectl: list[str]
) -> None:
    """The mark alone keeps no pod away; what it says of the time before stays."""
    node = make_node("w1")
    changes = Changes(kube)
    changes.cordon(node, by="ada@desk")
    subprocess.run([*kubectl, "uncordon", node], check=True, capture_output=True)

    changes.cordon(node, by="bob@desk")

    mark = observe(kube).nodes[node].cordoned
    assert mark
    assert (mark.by, mark.unschedulable) == ("ada@desk", False)
    assert marks(kube, node) == (True, True, ())


def test_only_a_drained_worker_is_removed(kube: Kube, make_node: Callable[..., str]) -> None:
    """One that nobody drained stays, and so does a control plane; a drained worker is gone."""
    worker, plane = make_node("w1"), make_node("cp1", labels={CONTROL_PLANE: ""})
    changes = Changes(kube)
    for node in (worker, plane):
        with pytest.raises(Refused, match=f"the node {node} is no worker that clusterctl has drained"):
            changes.remove_node(node)
        changes.cordon(node, by="ada@desk")
        with pytest.raises(Refused):
            changes.remove_node(node)
        changes.drain(node, DrainOptions(), lambda words: None, lambda: False)

    with pytest.raises(Refused):
        changes.remove_node(plane)
    changes.remove_node(worker)

    assert set(observe(kube).nodes) == {plane}


def test_a_node_that_a_hand_uncordoned_is_not_removed(
    kube: Kube, make_node: Callable[..., str], kubectl: list[str]
) -> None:
    """Pods may have come since it was drained."""
    node = make_node("w1")
    changes = Changes(kube)
    changes.cordon(node, by="ada@desk")
    changes.drain(node, DrainOptions(), lambda words: None, lambda: False)
    subprocess.run([*kubectl, "uncordon", node], check=True, capture_output=True)

    with pytest.raises(Refused):
        changes.remove_node(node)

    assert set(observe(kube).nodes) == {node}


def test_a_spoilt_mark_uncordons_nothing(kube: Kube, make_node: Callable[..., str]) -> None:
    """Nobody knows what was before, so the node stays as it is."""
    node = make_node("w1")
    patch = {"metadata": {"annotations": {CORDONED_ANNOTATION: "{"}}, "spec": {"unschedulable": True}}
    kube.patch(f"/api/v1/nodes/{node}", patch)

    Changes(kube).uncordon(node)

    assert marks(kube, node) == (True, False, ())
