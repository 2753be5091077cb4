"""What draining a node would meet: budgets, losses, time, from pods as they were seen."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.model.facts import Cordon
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Around, Budget, Owner, Pinned, PodFacts, Pods, Refusal, Replicas
from clusterctl.rules.forecast import blocks, forecast, losses, moving, seconds, waits, without_a_node
from clusterctl.rules.placement import CORDONED
from tests.builders import make_budget, make_node, make_pod

PLAIN = DrainOptions()
HELD = Refusal(429, "The disruption budget web needs 2 healthy pods and has 2 currently", by_budget=True)
NODES = {"w1": make_node("w1"), "w2": make_node("w2")}
SET = Owner("StatefulSet", "db", "uid-db")
JOB = Owner("Job", "train", "uid-train", api_version="batch/v1")


def held(budget: Budget, *more: PodFacts, refusal: Refusal = HELD, **changes: Any) -> Pods:
    """One pod of w1 that the API server refuses to evict."""
    pod = make_pod(**changes)
    return Pods((pod, *more), (budget,), {str(pod): refusal})


# The budget, and what is said of it, of the way out, and of whether it may pass.
BUDGETS: list[tuple[Budget, str, str, bool]] = [
    (
        make_budget(disruptions_allowed=0, desired_healthy=2, counted=True),
        "shop/web-1: the budget shop/web can never allow an eviction: it wants 2 of 2 pods healthy",
        "raise the replicas: kubectl -n shop scale deployment/web --replicas=3; or relax the budget: kubectl -n shop "
        """patch pdb web --type=merge -p '{"spec":{"minAvailable":null,"maxUnavailable":1}}'""",
        False,
    ),
    (
        make_budget(disruptions_allowed=0, desired_healthy=2),
        "can never allow",
        "relax the budget: kubectl",
        False,
    ),
    (
        make_budget(disruptions_allowed=0, desired_healthy=2, keeper=Owner("CephCluster", "rook", "u")),
        "can never allow an eviction: it wants 2 of 2 pods healthy; CephCluster rook keeps it so",
        "kubectl -n shop describe pdb web",
        True,
    ),
    (
        make_budget(disruptions_allowed=0, current_healthy=1),
        "allows no eviction at the moment: 1 of 2 pods are healthy, 1 have to be; 1 pod missing",
        "kubectl -n shop describe pdb web",
        True,
    ),
    (
        make_budget(disruptions_allowed=0),
        "2 of 2 pods are healthy, 1 have to be; The disruption budget web needs",
        "kubectl -n shop describe pdb web",
        True,
    ),
    (make_budget(up_to_date=False), "have not been counted since it was changed", "kube-controller-manager", True),
]


@pytest.mark.parametrize(("budget", "reason", "remedy", "passing"), BUDGETS)
def test_budgets(budget: Budget, reason: str, remedy: str, passing: bool) -> None:
    """What never allows an eviction, what does not at the moment, and what to do about either."""
    (block,) = blocks(held(budget), "w1", PLAIN)

    assert reason in block.reason
    assert remedy in block.remedy
    assert block.passing is passing


@pytest.mark.parametrize(
    ("keeper", "owner", "told"),
    [
        (None, None, ""),
        (Owner("CephCluster", "rook", "u"), None, "CephCluster rook"),
        (None, Owner("Cluster", "db", "u", api_version="postgresql.cnpg.io/v1"), "Cluster db"),
        (None, Owner("Job", "train", "u", api_version="batch/v1"), ""),
    ],
)
def test_who_may_move_a_pod_once_its_node_is_cordoned_is_named(
    keeper: Owner | None, owner: Owner | None, told: str
) -> None:
    """Whoever keeps the budget, or a controller that is none of Kubernetes' own."""
    budget = make_budget(disruptions_allowed=0, desired_healthy=2, keeper=keeper)

    (block,) = blocks(held(budget, controller=owner or make_pod().controller), "w1", PLAIN)

    assert block.keeper == told


def test_pods_that_are_not_ready_are_named() -> None:
    """The way out of a budget with nothing left is to mend them."""
    ill = make_pod("web-2", "w2", ready=False, problem="ImagePullBackOff: no such image")
    waiting = make_pod("web-3", "", ready=False, phase="Pending")

    (block,) = blocks(
        held(make_budget(disruptions_allowed=0, current_healthy=1, expected_pods=3), ill, waiting), "w1", PLAIN
    )

    assert "shop/web-2 on w2 is not ready (ImagePullBackOff: no such image)" in block.reason
    assert "shop/web-3 on no node is not ready (Pending)" in block.reason
    assert "missing" not in block.reason
    assert block.remedy.endswith("kubectl -n shop describe pod web-2")


def test_two_budgets_on_one_pod_are_for_ever() -> None:
    """The API server cannot decide; one of them has to go."""
    pod = make_pod()
    refusal = Refusal(500, "This pod has more than one PodDisruptionBudget", by_budget=True)

    (block,) = blocks(Pods((pod,), (make_budget("a"), make_budget("b")), {str(pod): refusal}), "w1", PLAIN)

    assert "the budgets a and b both cover it" in block.reason
    assert block.remedy == "leave one of them: kubectl -n shop delete pdb b"
    assert not block.passing


@pytest.mark.parametrize(("status", "passing"), [(403, False), (429, True)])
def test_other_refusals_repeat_what_the_api_server_says(status: int, passing: bool) -> None:
    """A webhook, for example; kubectl tries again after 429 alone."""
    refusal = Refusal(status, 'admission webhook "x" denied the request: not now')

    (block,) = blocks(held(make_budget(), refusal=refusal), "w1", PLAIN)

    assert 'refuses the eviction: admission webhook "x" denied' in block.reason
    assert block.passing is passing


def test_pods_that_the_same_budget_holds_are_told_together() -> None:
    """One budget is one trouble, however many pods it holds."""
    pods = tuple(make_pod(f"web-{number}") for number in range(5))
    budget = make_budget(disruptions_allowed=0, desired_healthy=5, expected_pods=5)

    (block,) = blocks(Pods(pods, (budget,), {str(pod): HELD for pod in pods}), "w1", PLAIN)

    assert block.reason.startswith("shop/web-0, shop/web-1, shop/web-2 and 2 more: ")
    assert len(block.pods) == 5


def test_who_deletes_pods_asks_no_budget() -> None:
    """As ``kubectl drain --disable-eviction``."""
    pods = held(make_budget(disruptions_allowed=0))

    assert blocks(pods, "w1", DrainOptions(disable_eviction=True)) == ()
    assert waits(pods, "w1", DrainOptions(disable_eviction=True)) == ()


def test_pods_that_leave_in_turns() -> None:
    """Each alone may leave; together they are more than the budget lets go."""
    pods = Pods(tuple(make_pod(f"web-{number}") for number in range(3)), (make_budget(),))

    (wait,) = waits(pods, "w1", PLAIN)

    assert wait.turns == 3
    assert str(wait) == "3 pods leave in turns, 1 at a time, as the budget shop/web says"
    assert waits(replace(pods, budgets=(make_budget(disruptions_allowed=3),)), "w1", PLAIN) == ()
    assert waits(replace(pods, pods=(pods.pods[0], replace(pods.pods[1], ready=False))), "w1", PLAIN) == ()


@pytest.mark.parametrize(
    ("pods", "options", "expected"),
    [
        ((), PLAIN, 0),
        ((make_pod("a", grace=5), make_pod("b", grace=60)), PLAIN, 2 * 60 + 10),
        ((make_pod("a", labels={}, grace=5), make_pod("b", labels={}, grace=60)), PLAIN, 60),
        ((make_pod("a", labels={}, grace=60),), DrainOptions(grace_period=3), 3),
        ((make_pod("a", grace=60, terminating=True),), PLAIN, 0),
        ((make_pod("a", grace=60, controller=Owner("DaemonSet", "d", "u")),), PLAIN, 0),
    ],
)
def test_how_long_a_drain_may_take(pods: tuple[PodFacts, ...], options: DrainOptions, expected: float) -> None:
    """The longest grace period, or the turns of a budget with a successor that starts in between."""
    assert seconds(Pods(pods, (make_budget(),)), "w1", options) == expected


LOSSES: list[tuple[Pods, DrainOptions, tuple[str, ...]]] = [
    (Pods((make_pod("a"), make_pod("b", "w2"))), PLAIN, ()),
    (
        Pods((make_pod("a", host_paths=("/srv/data",)), make_pod("b", "w2"))),
        PLAIN,
        ("shop/a leaves its data in /srv/data of the node behind",),
    ),
    (
        Pods((make_pod("a", empty_dirs=("cache",)), make_pod("b", "w2"))),
        DrainOptions(delete_emptydir_data=True),
        ("shop/a loses what its emptyDir cache holds",),
    ),
    (Pods((make_pod("a", empty_dirs=("cache",)), make_pod("b", "w2"))), PLAIN, ()),
    (
        Pods((make_pod("a", controller=None),)),
        DrainOptions(force=True),
        ("shop/a is deleted for good: nobody makes it again",),
    ),
    (
        Pods((make_pod("a", scheduling={"tolerations": [{"operator": "Exists"}]}), make_pod("b", "w2"))),
        PLAIN,
        ("shop/a tolerates a cordon: its successor may come back to this node at once",),
    ),
    (Pods((make_pod("a", controller=JOB),)), PLAIN, ("shop/a of the Job train starts again from zero",)),
    (Pods((make_pod("a", controller=JOB, phase="Succeeded"),)), PLAIN, ()),
    (
        Pods((make_pod("a"),)),
        PLAIN,
        ("Deployment shop/web has one replica: it is interrupted until another one is ready",),
    ),
    (
        Pods((make_pod("db-0", controller=SET),)),
        PLAIN,
        ("StatefulSet shop/db has one replica: it is interrupted until another one is ready",),
    ),
    (
        Pods((make_pod("a"), make_pod("b"))),
        PLAIN,
        ("Deployment shop/web has all 2 pods on this node: it is interrupted",),
    ),
    (Pods((make_pod("a"), make_pod("b")), (make_budget(),)), PLAIN, ()),
    (
        Pods((make_pod("a"),), around=Around({"shop/Deployment/web": Replicas(3, "1 of 3 pods are up to date")})),
        PLAIN,
        (
            "Deployment shop/web has its only pod on this node: it is interrupted",
            "Deployment shop/web is being rolled out: 1 of 3 pods are up to date",
        ),
    ),
    (
        Pods((make_pod("a"), make_pod("b", "w2")), around=Around(pinned=(Pinned("shop", "web", {"app": "web"}),))),
        PLAIN,
        ("clients of the Service shop/web are pinned to shop/a by ClientIP: their sessions end",),
    ),
    (
        Pods((make_pod("a"), make_pod("b", "w2")), around=Around(pinned=(Pinned("shop", "db", {"app": "db"}),))),
        PLAIN,
        (),
    ),
]


@pytest.mark.parametrize(("pods", "options", "expected"), LOSSES)
def test_losses(pods: Pods, options: DrainOptions, expected: tuple[str, ...]) -> None:
    """What no rule of kubectl mentions."""
    assert losses(pods, "w1", (), options) == expected


def test_who_moves() -> None:
    """Not what stays, not what has ended or is on its way out; bare pods find no successor to place."""
    bare, full = make_pod("bare", controller=None), make_pod("cached", empty_dirs=("cache",))
    pods = Pods(
        (
            bare,
            full,
            make_pod("daemon", controller=Owner("DaemonSet", "d", "u")),
            make_pod("static", mirror=True),
            make_pod("done", phase="Succeeded"),
            make_pod("going", terminating=True),
            make_pod("elsewhere", "w2"),
        )
    )

    assert moving(pods, "w1") == (bare, full)
    assert [each.pod for each in without_a_node(pods, "w1", {"w1": make_node("w1")}, PLAIN)] == [full]


@pytest.mark.parametrize(("before", "stranded"), [(False, 0), (True, 1)])
def test_a_node_that_an_earlier_run_left_cordoned_is_given_back_first(before: bool, stranded: int) -> None:
    """Its cordon and the taint that came with it are no hindrance, unless somebody else had cordoned it before."""
    pods = Pods((make_pod(),))
    left = make_node("w2", unschedulable=True, taints=(CORDONED,), cordoned=Cordon("me", "now", before))

    assert len(without_a_node(pods, "w1", {"w1": make_node("w1"), "w2": left}, PLAIN)) == stranded


PLANE = "node-role.kubernetes.io/control-plane:NoSchedule"
THEIRS = Cordon("me", "now", unschedulable=True)
# The node that is drained, and the others; which of its pods come back to it, and otherwise why not.
ONLY: list[tuple[dict[str, Any], dict[str, Any] | None, bool]] = [
    ({}, None, True),
    ({}, {"taints": (PLANE,)}, True),
    ({}, {"taints": ("gpu=yes:NoExecute", PLANE), "ready": False}, True),
    # An earlier run left it in the middle.
    ({"unschedulable": True, "taints": (CORDONED,), "cordoned": Cordon("me", "now", unschedulable=False)}, None, True),
    ({"ready": False, "taints": ("node.kubernetes.io/unreachable:NoExecute",)}, {"taints": (PLANE,)}, True),
    # It does not take them again.
    ({"unschedulable": True, "taints": (CORDONED,)}, None, False),
    ({"unschedulable": True, "taints": (CORDONED,), "cordoned": THEIRS}, None, False),
    ({"taints": ("new:NoSchedule",)}, {"taints": (PLANE,)}, False),
    # Somebody can make room elsewhere.
    ({}, {"ready": False}, False),
    ({}, {"unschedulable": True, "taints": (CORDONED,)}, False),
    ({}, {"taints": ("node.kubernetes.io/disk-pressure:NoSchedule",)}, False),
    ({}, {"allocatable": {"cpu": 500, "memory": 2**30, "pods": 10}}, False),
]


@pytest.mark.parametrize(("node", "other", "returns"), ONLY)
def test_pods_that_wait_for_the_only_node_that_is_meant_for_them(
    node: dict[str, Any], other: dict[str, Any] | None, returns: bool
) -> None:
    """They are interrupted, and told as that. What nothing brings back, or what needs room elsewhere, is stranded."""
    pods = Pods((make_pod(requests={"cpu": 1000}),))
    nodes = {"w1": make_node("w1", **node), **({"w2": make_node("w2", **other)} if other is not None else {})}

    found = forecast(pods, "w1", nodes, PLAIN)

    waits_for_it = "until w1 is given back, no node takes shop/web-1"
    assert [each.returns for each in without_a_node(pods, "w1", nodes, PLAIN)] == [returns]
    assert [each.pod for each in found.stranded] == ([] if returns else [pods.pods[0]])
    assert (waits_for_it in found.losses) is returns


def test_a_pod_whose_label_the_node_has_lost_does_not_come_back() -> None:
    """The control plane is closed to it, and so is its own node by now."""
    pod = make_pod(scheduling={"nodeSelector": {"disk": "ssd"}})
    nodes = {"w1": make_node("w1"), "cp1": make_node("cp1", taints=(PLANE,))}

    (gone,) = without_a_node(Pods((pod,)), "w1", nodes, PLAIN)
    (kept,) = without_a_node(Pods((pod,)), "w1", {**nodes, "w1": make_node("w1", labels={"disk": "ssd"})}, PLAIN)

    assert (gone.returns, kept.returns) == (False, True)


@pytest.mark.parametrize(("allowed", "held"), [(0, False), (1, True), (2, False)])
def test_pods_whose_budget_waits_for_those_that_left_before_never_leave(allowed: int, held: bool) -> None:
    """The first successor is Pending until the node is back, so the budget lets no second one go: kubectl waits too."""
    pods = Pods((make_pod("a"), make_pod("b")), (make_budget(disruptions_allowed=allowed),))
    nodes = {"w1": make_node("w1"), "cp1": make_node("cp1", taints=(PLANE,))}

    found = without_a_node(pods, "w1", nodes, PLAIN)

    assert [each.returns for each in found] == [not held] * 2
    assert [each.budget for each in found] == ["shop/web" if held else ""] * 2
    assert all(f"the budget shop/web lets {allowed} of 2 go" in each.why for each in found) is held
    assert all(each.returns for each in without_a_node(pods, "w1", nodes, DrainOptions(disable_eviction=True)))


def test_a_forecast_has_everything() -> None:
    """Blocks, what kubectl's rules keep, and what has nowhere to go are told beside each other."""
    pod, bare = make_pod(empty_dirs=("cache",), scheduling={"nodeSelector": {"disk": "ssd"}}), make_pod("bare")
    bare = replace(bare, controller=None, labels={})
    budget = make_budget(disruptions_allowed=0, desired_healthy=2)

    found = forecast(Pods((pod, bare), (budget,), {str(pod): HELD}), "w1", NODES, PLAIN)

    assert (found.node, found.moving, found.seconds) == ("w1", (pod, bare), 30)
    assert [each.pod.name for each in found.unmanaged] == ["bare"]
    assert [each.pod.name for each in found.emptydir] == ["web-1"]
    assert [each.pods for each in found.blocks] == [(pod,)]
    assert [each.pod.name for each in found.stranded] == ["web-1"]
    assert found.waits == ()
