"""What is in the way of a drain: each finding, and the wait right before it."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.engine.events import Event, StepChanged, Waiting
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.engine.view import View
from clusterctl.errors import ClusterctlError, KubernetesError, NotVerified, Refused
from clusterctl.model.facts import ClusterFacts, Cordon
from clusterctl.model.places import ADMIN_CONF
from clusterctl.model.pods import Around, Owner, Pods, Refusal
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.steps.drain.budgets import Budgets
from clusterctl.steps.drain.emptydir import Emptydir
from clusterctl.steps.drain.evictable import Evictable
from clusterctl.steps.drain.losses import Losses
from clusterctl.steps.drain.placement import Placement
from clusterctl.steps.drain.unmanaged import Unmanaged
from clusterctl.steps.finding import Finding
from clusterctl.steps.nodes.drain import Drain as NodesDrain
from clusterctl.steps.reboot.drain import Drain as RebootDrain
from clusterctl.steps.reboot.restart import Restart
from clusterctl.steps.reboot.uncordon import Uncordon as RebootUncordon
from clusterctl.steps.step import Step
from clusterctl.steps.upgrade.drain import Drain
from clusterctl.steps.upgrade.uncordon import Uncordon
from tests.builders import make_budget, make_facts, make_inventory, make_node, make_pod, make_situation
from tests.simulation import FakeClock, World, run

OLD = ClusterFacts("1.36.3", {"w1": make_node("w1", kubelet_version="1.35.4"), "w2": make_node("w2")})
BESIDE = make_pod("web-2", "w2")
HELD = {"shop/web-1": Refusal(429, "The disruption budget web holds", by_budget=True)}
NEVER = Pods((make_pod(), BESIDE), (make_budget(disruptions_allowed=0, desired_healthy=2),), HELD)
NOT_NOW = Pods(
    (make_pod(), replace(BESIDE, ready=False)), (make_budget(disruptions_allowed=0, current_healthy=1),), HELD
)
FREE = Pods((make_pod(), BESIDE), (make_budget(),))
BARE = Pods((make_pod("debug", controller=None), BESIDE))
CACHED = Pods((make_pod(empty_dirs=("cache",)), BESIDE))
HOMELESS = Pods((make_pod(scheduling={"nodeSelector": {"disk": "ssd"}}), BESIDE))
TURNS = Pods((make_pod(), make_pod("web-3"), BESIDE), (make_budget(),))
DAEMON = Pods((make_pod("flannel", controller=Owner("DaemonSet", "flannel", "u")),))
MANY = Pods(tuple(make_pod(f"debug-{number}", controller=None) for number in range(5)))
JOB = Pods((make_pod(controller=Owner("Job", "train", "u")),))
FORCED = "  drain: {force: true, delete_emptydir_data: true}\n"

CASES: list[tuple[Step, Pods, str, type, str]] = [
    (Budgets(), FREE, "", Satisfied, "1 pod may leave"),
    (Budgets(), TURNS, "", Satisfied, "2 pods leave in turns, 1 at a time, as the budget shop/web says"),
    (Budgets(), NEVER, "", Blocked, "the budget shop/web can never allow an eviction"),
    (Budgets(), NOT_NOW, "", Blocked, "allows no eviction at the moment"),
    (Budgets(), NEVER, "  drain: {disable_eviction: true}\n", Satisfied, "~no budget is asked"),
    (Unmanaged(), FREE, "", Satisfied, "every pod has a controller"),
    (Unmanaged(), BARE, "", Blocked, "shop/debug has no controller"),
    (Unmanaged(), CACHED, "", Satisfied, ""),
    (Unmanaged(), BARE, FORCED, Satisfied, ""),
    (Unmanaged(), MANY, "", Blocked, "shop/debug-2 has no controller; and 2 more: see clusterctl forecast"),
    (Emptydir(), FREE, "", Satisfied, "none"),
    (Emptydir(), CACHED, "", Blocked, "shop/web-1 keeps data in emptyDir cache"),
    (Emptydir(), BARE, "", Satisfied, ""),
    (Emptydir(), CACHED, FORCED, Satisfied, ""),
    (Placement(), FREE, "", Satisfied, "every pod finds another node"),
    (Placement(), HOMELESS, "", Blocked, "shop/web-1 has nowhere to go (w2: without the label disk=ssd)"),
    (Losses(), FREE, "", Satisfied, "nothing"),
    (Losses(), JOB, "", Satisfied, "~shop/web-1 of the Job train starts again from zero"),
    (Losses(), BARE, FORCED, Satisfied, "~shop/debug is deleted for good"),
    (Evictable(), FREE, "", Satisfied, "1 pod may leave"),
    (Evictable(), TURNS, "", Satisfied, "2 pods may leave"),
    (Evictable(), DAEMON, "", Satisfied, "0 pods may leave"),
    (Evictable(), NOT_NOW, "", Needed, "allows no eviction at the moment"),
    (Evictable(), NEVER, "", Blocked, "can never allow an eviction"),
    (Evictable(), NEVER, "  drain: {disable_eviction: true}\n", Satisfied, ""),
    (Evictable(), BARE, "", Blocked, "has no controller"),
    (Evictable(), CACHED, "", Blocked, "emptyDir"),
    (Evictable(), HOMELESS, "", Satisfied, ""),
]


def situation(pods: Pods | None, extra: str = "", *, host: str = "w1", api: ClusterFacts | None = OLD) -> Situation:
    """A worker whose kubelet is older than wanted, and these pods."""
    return replace(make_situation(host, api=api, extra=extra), pods=pods)


@pytest.mark.parametrize(("step", "pods", "extra", "kind", "text"), CASES)
def test_what_is_in_the_way(step: Step, pods: Pods, extra: str, kind: type, text: str) -> None:
    """A tilde marks a warning; what blocks says what to do."""
    verdict = step.check(situation(pods, extra))

    assert isinstance(verdict, kind)
    said = verdict.note if isinstance(verdict, Satisfied) else verdict.reason
    assert text.removeprefix("~") in said
    if isinstance(verdict, Satisfied):
        assert verdict.warning is text.startswith("~")
    if isinstance(verdict, Blocked):
        assert verdict.resolution


@pytest.mark.parametrize(("pods", "kind"), [(NOT_NOW, Satisfied), (NEVER, Blocked)])
def test_pods_that_an_interrupted_drain_evicted_may_still_be_on_their_way_up(pods: Pods, kind: type) -> None:
    """A budget that allows nothing at the moment stops no run that goes on; one that never will, does."""
    left = make_node("w2", unschedulable=True, cordoned=Cordon("ada@desk", "2026-01-01T00:00:00Z", unschedulable=False))

    verdict = Budgets().check(situation(pods, api=replace(OLD, nodes={**OLD.nodes, "w2": left})))

    assert isinstance(verdict, kind)
    if isinstance(verdict, Satisfied):
        assert verdict.warning
        assert "shop/web-2 on w2 is not ready" in verdict.note
        assert verdict.note.endswith("; it is waited for, as pods that left w2 may be on their way up")


@pytest.mark.parametrize(("before", "kind"), [(False, Satisfied), (True, Blocked)])
def test_a_node_that_a_run_left_cordoned_takes_pods_again(before: bool, kind: type) -> None:
    """It is given back before the next one goes, unless its operator had cordoned it."""
    left = make_node("w2", unschedulable=True, cordoned=Cordon("ada@desk", "2026-01-01T00:00:00Z", before))
    api = replace(OLD, nodes={**OLD.nodes, "w2": left})

    assert isinstance(Placement().check(situation(FREE, api=api)), kind)


@pytest.mark.parametrize(
    ("others", "kind"),
    [
        ((Drain(), Uncordon()), Satisfied),
        ((Restart(), RebootDrain(), RebootUncordon()), Satisfied),
        ((NodesDrain(),), Blocked),
    ],
)
def test_pods_may_wait_for_a_node_that_is_given_back(others: tuple[Step, ...], kind: type) -> None:
    """On 1 + 1 nothing else takes them. `clusterctl drain` leaves the node cordoned: there they would wait for ever."""
    plane = make_node("cp1", taints=("node-role.kubernetes.io/control-plane:NoSchedule",))
    seen = situation(Pods((make_pod(),)), api=ClusterFacts("1.36.3", {"w1": OLD.nodes["w1"], "cp1": plane}))

    verdict = Placement().beside(others).check(seen)
    losses = Losses().beside(others).check(seen)

    assert isinstance(verdict, kind)
    assert isinstance(losses, Satisfied)
    assert losses.warning
    assert losses.note.startswith("until w1 is given back, no node takes shop/web-1; ")
    if isinstance(verdict, Satisfied):
        assert verdict.note == "1 pod will wait for this node, which alone is meant for it"


def test_a_budget_that_would_wait_for_ever_is_told_with_another_way_out() -> None:
    """Two pods of which one may go, and its successor waits for the node."""
    seen = situation(TURNS, api=ClusterFacts("1.36.3", {"w1": OLD.nodes["w1"]}))

    verdict = Placement().beside((Drain(), Uncordon())).check(seen)

    assert isinstance(verdict, Blocked)
    assert "the budget shop/web lets 1 of 2 go, and they would wait for this node themselves" in verdict.reason
    assert verdict.resolution.startswith("let the budget shop/web allow more, or ")
    assert verdict.resolution.endswith(": --disable-eviction")


STEPS: tuple[Step, ...] = tuple({case[0].name: case[0] for case in CASES}.values())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_hosts_that_are_not_drained_are_left_alone(step: Step) -> None:
    """A kubelet at the wanted version or newer, and a host that is no node, are of no interest, nor asked about."""
    for version in ("1.36.3", "1.36.10", "1.37.0"):
        whole = replace(OLD, nodes={"w1": make_node("w1", kubelet_version=version)})
        assert isinstance(step.check(situation(NEVER, api=whole)), Satisfied)
        assert not step.looks_ahead(situation(NEVER, api=whole))
    assert isinstance(step.check(situation(NEVER, api=replace(OLD, nodes={}))), Satisfied)
    silent = replace(OLD, nodes={"w1": make_node("w1", kubelet_version="")})
    assert isinstance(step.check(situation(NEVER, api=silent)), Satisfied)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_nothing_is_said_without_the_api(step: Step) -> None:
    """An API that does not answer is no reason to drain."""
    blind = replace(situation(None, api=None), api_problem="it starts")

    verdict = step.check(blind)

    assert isinstance(verdict, Unknown)
    assert verdict.reason == "it starts"
    assert not step.looks_ahead(blind)


@pytest.mark.parametrize(
    ("step", "flag"),
    [(Unmanaged(), "--force"), (Emptydir(), "--delete-emptydir-data"), (Placement(), "--ignore")],
)
def test_the_flag_that_overrides_is_named(step: Step, flag: str) -> None:
    """Where going on is safe for who knows what he does, the way to say so is told."""
    pods = {"drain/unmanaged": BARE, "drain/emptydir": CACHED, "drain/placement": HOMELESS}[step.name]

    verdict = step.check(situation(pods))

    assert isinstance(verdict, Blocked)
    assert flag in verdict.resolution


def test_only_findings_can_be_ignored() -> None:
    """What waits right before the drain has no way round it."""
    assert {step.name for step in STEPS if not isinstance(step, Finding)} == {"drain/evictable"}


class Watched(World):
    """Counts what is asked."""

    asked: list[tuple[str, ...]]

    def look_around(self, pods: Pods) -> Around:
        """Once for all nodes."""
        self.asked.append(("around",))
        return super().look_around(pods)

    def try_evictions(self, pods: Any) -> Any:
        """For each node of its own."""
        self.asked.append(tuple(pod.name for pod in pods))
        return super().try_evictions(pods)


def test_evictions_are_asked_for_the_node_alone_and_again_after_a_change() -> None:
    """What one host's look has read serves the others until somebody changes something."""
    inventory = make_inventory()
    world = Watched(inventory, api=OLD, pods=replace(NOT_NOW, refusals={}))
    world.asked = []
    world.hosts["cp1"] = make_facts("cp1", paths=frozenset({ADMIN_CONF}))
    clock = FakeClock()
    view = View(inventory, world, clock, lambda *waiting: None)

    def look(host: str, max_age: float = float("inf")) -> Situation:
        return view.look_ahead(view.situation(inventory.host(host), api=True, pods=True), max_age=max_age)

    assert isinstance(Evictable().check(look("w1")), Needed)
    look("w1")
    look("w2")
    assert world.asked == [("around",), ("web-1",), ("web-2",)]
    clock.sleep(1)
    look("w1", max_age=5)
    assert len(world.asked) == 3
    look("w1", max_age=0.5)
    assert world.asked[3:] == [("around",), ("web-1",)]
    world.pods = FREE
    clock.sleep(1)
    view.changed(())
    clock.sleep(1)
    assert isinstance(Evictable().check(look("w1")), Satisfied)


class Recovering(World):
    """Its budget is whole again after some looks."""

    looks = 5

    def look_at_pods(self) -> Pods:
        """The pods of this moment."""
        self.looks -= 1
        if not self.looks:
            self.pods = FREE
        return super().look_at_pods()


def walk(world: World) -> list[Event]:
    """Run the step on the worker alone."""
    world.hosts["cp1"] = make_facts("cp1", paths=frozenset({ADMIN_CONF}))
    play = Play("Drain", "worker", (Evictable(),), only=frozenset({"w1"}))
    return run(Playbook("drain", (play,)), world)


def test_a_budget_is_waited_for_right_before_the_drain() -> None:
    """Nothing is changed; what is waited for is told until it is so."""
    world = Recovering(make_inventory(), api=OLD, pods=replace(NOT_NOW, refusals={}))

    events = walk(world)

    told = [event.message for event in events if isinstance(event, Waiting)]
    assert told
    assert all("the budget shop/web allows no eviction at the moment" in message for message in told)
    assert any(isinstance(event, StepChanged) for event in events)
    assert world.actions == []


@pytest.mark.parametrize(("pods", "error"), [(NOT_NOW, NotVerified), (NEVER, Refused)])
def test_a_budget_that_stays_so_ends_the_run(pods: Pods, error: type[ClusterctlError]) -> None:
    """After ten minutes, or at once where no waiting helps; the budget is named."""
    world = World(make_inventory(), api=OLD, pods=replace(pods, refusals={}))

    with pytest.raises(error, match=r"w1: drain/evictable.*the budget shop/web"):
        walk(world)


def test_what_an_operator_waits_for_is_told_wherever_its_budget_is_in_the_way() -> None:
    """In the finding, and at the end of a wait that was in vain: its workload moves once the node is cordoned."""
    kept = make_budget(disruptions_allowed=0, desired_healthy=2, keeper=Owner("Cluster", "db", "u"))
    cordon = "where Cluster db moves its pods once their node is cordoned: clusterctl cordon w1; or "
    world = World(make_inventory(), api=OLD, pods=replace(NEVER, budgets=(kept,), refusals={}))

    found = Budgets().check(situation(replace(NEVER, budgets=(kept,))))
    with pytest.raises(NotVerified) as caught:
        walk(world)

    assert isinstance(found, Blocked)
    assert found.resolution.startswith(cordon)
    assert (
        "did not come true in 600 s: shop/web-1: the budget shop/web can never allow an eviction: it wants 2 of 2"
        in (caught.value.what)
    )
    assert caught.value.resolution.startswith(cordon)
    assert caught.value.resolution.endswith("describe pdb web; then run the same command again")


def test_an_api_that_fails_in_the_middle_of_a_look_is_told() -> None:
    """The steps then say what they say of an API that does not answer."""

    class Failing(World):
        def try_evictions(self, pods: Any) -> Any:
            raise KubernetesError("the API server went away")

    inventory = make_inventory()
    world = Failing(inventory, api=OLD, pods=FREE)
    world.hosts["cp1"] = make_facts("cp1", paths=frozenset({ADMIN_CONF}))
    view = View(inventory, world, FakeClock(), lambda *waiting: None)

    found = view.look_ahead(view.situation(inventory.host("w1"), api=True, pods=True))

    assert (found.api, found.pods, found.api_problem) == (None, None, "the API server went away")
    assert isinstance(Budgets().check(found), Unknown)
