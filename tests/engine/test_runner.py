"""The engine on toy steps: barriers, batches, stop rules, proof, unknown outcomes."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from clusterctl.engine.events import (
    Event,
    Interrupted,
    PlayStarted,
    RunFinished,
    StepChanged,
    StepFailed,
    StepLeft,
    StepSatisfied,
    StepStarted,
    Waiting,
)
from clusterctl.engine.plan import make_plan
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.engine.runner import Runner
from clusterctl.engine.view import View
from clusterctl.errors import (
    ClusterctlError,
    CommandFailed,
    ConnectError,
    HostKeyError,
    KubernetesError,
    NotVerified,
    OutcomeUnknown,
    Refused,
    SeveralErrors,
)
from clusterctl.model.facts import ClusterFacts, HostFacts
from clusterctl.model.inventory import Host
from clusterctl.model.pods import Around, PodFacts, Pods, Refusal
from clusterctl.model.situation import Situation
from clusterctl.model.survey import Survey
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Archive, ClusterApi, Machine, Step, Tools
from tests.builders import make_facts, make_inventory
from tests.simulation import FakeClock

INVENTORY = make_inventory()


@dataclass
class Toys:
    """A cluster of toy hosts: which steps are done where, and what happened in which order."""

    done: set[tuple[str, str]] = field(default_factory=set)
    log: list[tuple[str, str]] = field(default_factory=list)
    looks: int = 0
    busy: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    reconnects: int = 0
    problem: ConnectError | None = None

    def look(self, host: Host) -> HostFacts:
        """The names of the done steps are the host's modules."""
        self.looks += 1
        if host.name in self.lost:
            raise self.problem or ConnectError(f"{host.name} is lost")
        facts = make_facts(host.name, modules=frozenset(step for name, step in self.done if name == host.name))
        if self.busy.get(host.name):
            self.busy[host.name] -= 1
            return replace(facts, busy="toy/earlier")
        return facts

    def look_at_api(self) -> ClusterFacts:
        """There is none."""
        raise KubernetesError("no API")

    def look_at_pods(self) -> Pods:
        """There are none."""
        raise KubernetesError("no API")

    def look_around(self, pods: Pods) -> Around:
        """Nobody looks ahead."""
        return Around()

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """Nobody looks ahead."""
        return {}

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """Nobody asks."""
        return {}

    def reconnect(self, host: Host, deadline: float) -> None:
        """Works unless the host is lost."""
        self.reconnects += 1
        if host.name in self.lost:
            raise self.problem or ConnectError(f"{host.name} stays lost")


class Toy(Step):
    """Done when it has run; ``act`` may fail."""

    title = "Play"
    deadline = 5.0

    def __init__(
        self,
        name: str,
        toys: Toys,
        act: Callable[[str], None] | None = None,
        verdict: Verdict | None = None,
        works: bool = True,
        steady: int = 1,
        touches: tuple[str, ...] = (),
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.steady = steady  # type: ignore[misc]
        self.toys, self.act, self.verdict, self.works, self.touched = toys, act, verdict, works, touches

    def check(self, situation: Situation) -> Verdict:
        """Whether it ran on this host."""
        if self.verdict:
            return self.verdict
        return Satisfied("done") if self.name in situation.facts.modules else Needed("not done")

    def touches(self, situation: Situation) -> tuple[str, ...]:
        """As the test says."""
        return self.touched

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Run."""
        self.toys.log.append((situation.host.name, self.name))
        if self.act:
            self.act(situation.host.name)
        if self.works:
            self.toys.done.add((situation.host.name, self.name))


def play(
    *steps: Step, hosts: str = "all", batch: int | str = 0, max_failures: int = 0, undivided: bool = False
) -> Play:
    """A play of toys."""
    return Play("toys", hosts, steps, batch, max_failures, undivided=undivided)  # type: ignore[arg-type]


def run(toys: Toys, *plays: Play) -> list[Event]:
    """Run the plays; the events, also when it raises, are in the returned list."""
    events: list[Event] = []
    run_into(events, toys, *plays)
    return events


def run_into(events: list[Event], toys: Toys, *plays: Play) -> None:
    """Run the plays, collecting events."""
    make_runner(events, toys, *plays).run()


def make_runner(events: list[Event], toys: Toys, *plays: Play, clock: FakeClock | None = None) -> Runner:
    """A runner for the plays, on hosts that have been looked at."""
    clock = clock or FakeClock()
    view = View(
        INVENTORY, toys, clock, lambda host, message, seconds: events.append(Waiting(host.name, "", message, 0))
    )
    view.look(INVENTORY.hosts)

    def tools(host: Host, say: Callable[[str], None], stopping: Callable[[], bool]) -> Tools:
        return Tools(
            cast(Machine, None),
            lambda: cast(ClusterApi, None),
            say,
            lambda source: "",
            lambda name: cast(Machine, None),
            stopping,
            "ada@desk",
            archive=cast(Archive, None),
        )

    return Runner(Playbook("toys", plays), view, tools, clock, events.append)


def test_a_play_is_a_barrier() -> None:
    """No host begins the second play before all are through the first."""
    toys = Toys()

    run(toys, play(Toy("toy/a", toys)), play(Toy("toy/b", toys)))

    assert [step for _, step in toys.log] == ["toy/a"] * 3 + ["toy/b"] * 3


def test_a_batch_walks_before_the_next() -> None:
    """With a batch of one, a host ends its walk before the next begins."""
    toys = Toys()

    run(toys, play(Toy("toy/a", toys), Toy("toy/b", toys), batch=1))

    assert toys.log == [(host, step) for host in ("cp1", "w1", "w2") for step in ("toy/a", "toy/b")]


def test_hosts_of_a_play_walk_at_once() -> None:
    """All hosts of a play are under way together."""
    toys, meet = Toys(), threading.Barrier(3, timeout=10)

    run(toys, play(Toy("toy/a", toys, act=lambda host: _ignore(meet.wait()))))

    assert len(toys.log) == 3


def test_satisfied_steps_cost_one_look_per_host() -> None:
    """A run with nothing to do reads each host once."""
    toys = Toys(done={(host, "toy/a") for host in ("cp1", "w1", "w2")})

    events = run(toys, play(Toy("toy/a", toys)))

    assert toys.looks == 3
    assert toys.log == []
    assert sum(isinstance(event, StepSatisfied) for event in events) == 3


def test_a_blocked_step_refuses_and_tells_what_to_do() -> None:
    """Blocked is not acted on."""
    toys = Toys()
    blocked = Toy("toy/a", toys, verdict=Blocked("a stone lies there", "carry it away"))

    with pytest.raises(Refused, match="a stone lies there") as caught:
        run(toys, play(blocked, hosts="first-control-plane"))

    assert caught.value.resolution == "carry it away"
    assert toys.log == []


def test_what_is_still_unknown_at_the_moment_of_acting_is_refused() -> None:
    """Nothing is guessed."""
    toys = Toys()

    with pytest.raises(Refused, match="cannot be judged"):
        run(toys, play(Toy("toy/a", toys, verdict=Unknown("later")), hosts="first-control-plane"))


def test_an_applied_step_that_does_not_come_true_is_not_verified() -> None:
    """After the deadline of the step, with Waiting on the way."""
    toys, events = Toys(), list[Event]()

    with pytest.raises(NotVerified, match="in 5 s: not done"):
        run_into(events, toys, play(Toy("toy/a", toys, works=False), hosts="first-control-plane"))

    assert toys.log == [("cp1", "toy/a")]
    assert any(isinstance(event, Waiting) and event.message == "not done" for event in events)


def test_a_failed_host_walks_no_further_and_the_run_stops_after_the_play() -> None:
    """The others of its play finish; the next play is not begun; what is left is told."""
    toys, events = Toys(), list[Event]()

    with pytest.raises(CommandFailed, match="w1 broke"):
        run_into(events, toys, play(Toy("toy/a", toys, act=_break("w1")), Toy("toy/b", toys)), play(Toy("toy/c", toys)))

    assert set(toys.log) == {
        *((host, "toy/a") for host in ("cp1", "w1", "w2")),
        *((host, "toy/b") for host in ("cp1", "w2")),
    }
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert set(finished.left) == {("w1", "toy/a"), ("w1", "toy/b"), *((host, "toy/c") for host in ("cp1", "w1", "w2"))}


def test_failures_within_the_budget_let_the_run_go_on() -> None:
    """max_failures is how many hosts of a play may fail."""
    toys = Toys()

    with pytest.raises(CommandFailed):
        run(toys, play(Toy("toy/a", toys, act=_break("w1")), max_failures=1), play(Toy("toy/b", toys)))

    assert ("w2", "toy/b") in toys.log


def test_a_host_that_failed_walks_no_further_in_later_plays() -> None:
    """What comes later builds on what it lacks; the summary's list says what that is."""
    toys, events = Toys(), list[Event]()

    with pytest.raises(CommandFailed):
        run_into(
            events,
            toys,
            play(Toy("toy/a", toys, act=_break("w1")), max_failures=1),
            play(Toy("toy/b", toys), batch=1, max_failures=1),
        )

    assert [host for host, step in toys.log if step == "toy/b"] == ["cp1", "w2"]
    assert [event.hosts for event in events if isinstance(event, PlayStarted)] == [("cp1", "w1", "w2"), ("cp1", "w2")]
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.left == (("w1", "toy/a"), ("w1", "toy/b"))


def test_the_run_ends_when_every_host_of_a_play_has_failed() -> None:
    """Workers do not join a control plane that was not prepared, whatever the budget allows."""
    toys = Toys()

    with pytest.raises(CommandFailed):
        run(
            toys,
            play(Toy("toy/a", toys, act=_break("cp1")), max_failures=1),
            play(Toy("toy/b", toys), hosts="first-control-plane"),
            play(Toy("toy/c", toys), hosts="worker"),
        )

    assert {step for _, step in toys.log} == {"toy/a"}


def test_a_batch_beyond_the_budget_is_the_last() -> None:
    """With one host at a time and a budget of one, the second failure leaves the rest untouched."""
    toys, events = Toys(), list[Event]()

    with pytest.raises(SeveralErrors):
        run_into(events, toys, play(Toy("toy/a", toys, act=_break("cp1", "w1")), batch=1, max_failures=1))

    assert toys.log == [("cp1", "toy/a"), ("w1", "toy/a")]
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.failed, ("w2", "toy/a") in finished.left) == (2, True)


def test_several_failures_are_all_reported() -> None:
    """One error with complete children."""
    toys = Toys()

    with pytest.raises(SeveralErrors) as caught:
        run(toys, play(Toy("toy/a", toys, act=_break("w1", "w2"))))

    assert {error.what for error in caught.value.errors} == {"w1 broke", "w2 broke"}
    assert caught.value.exit_code == 6


def test_after_a_lost_connection_a_done_step_counts() -> None:
    """The outcome was unknown; the check says that it is done."""
    toys = Toys()

    def act(host: str) -> None:
        toys.done.add((host, "toy/a"))
        raise OutcomeUnknown(f"{host}: lost")

    events = run(toys, play(Toy("toy/a", toys, act=act), hosts="first-control-plane"))

    assert toys.reconnects == 1
    assert any(isinstance(event, StepChanged) for event in events)


def test_after_a_lost_connection_an_undone_step_is_never_repeated() -> None:
    """The run ends; running again is the operator's decision."""
    toys = Toys()

    def act(host: str) -> None:
        raise OutcomeUnknown(f"{host}: lost")

    with pytest.raises(OutcomeUnknown, match="not done"):
        run(toys, play(Toy("toy/a", toys, act=act), hosts="first-control-plane"))

    assert toys.log == [("cp1", "toy/a")]


def test_a_host_that_does_not_come_back_is_an_unknown_outcome() -> None:
    """Exit code 5, not 4: something was sent."""
    toys = Toys()

    def act(host: str) -> None:
        toys.lost.add(host)
        raise OutcomeUnknown(f"{host}: lost")

    with pytest.raises(OutcomeUnknown, match="what became of it could not be seen"):
        run(toys, play(Toy("toy/a", toys, act=act), hosts="first-control-plane"))


def test_a_busy_host_is_waited_for_in_sight() -> None:
    """A script of an earlier run ends before anything is judged."""
    toys = Toys(busy={"cp1": 3})

    events = run(toys, play(Toy("toy/a", toys)))

    waits = [event for event in events if isinstance(event, Waiting) and "toy/earlier" in event.message]
    assert len(waits) == 3
    assert ("cp1", "toy/a") in toys.log


def test_stop_finishes_the_step_in_hand_and_starts_nothing_new() -> None:
    """The second play is left, and said to be."""
    toys, events = Toys(), list[Event]()

    runner = make_runner(
        events,
        toys,
        play(Toy("toy/a", toys, act=lambda host: _stop(runner, events)), hosts="first-control-plane"),
        play(Toy("toy/b", toys)),
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run()

    assert toys.log == [("cp1", "toy/a")]
    assert any(isinstance(event, StepChanged) for event in events)
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert len(finished.left) == 3


def test_a_wish_to_stop_cuts_a_wait_short() -> None:
    """What the script brought about comes true without us; the step counts as left, not as failed."""
    toys, events = Toys(), list[Event]()
    slow = Toy("toy/a", toys, act=lambda host: _ignore(runner.stop()), works=False)
    runner = make_runner(events, toys, play(slow, hosts="first-control-plane"))

    with pytest.raises(KeyboardInterrupt):
        runner.run()

    assert [event.reason for event in events if isinstance(event, StepLeft)] == ["not done"]
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.failed, finished.left) == (0, (("cp1", "toy/a"),))


def test_an_undivided_play_is_walked_to_its_end_by_the_host_that_has_begun() -> None:
    """The first wish to stop lets it finish, waits included; no other host begins."""
    toys, events = Toys(), list[Event]()
    late = Late("toy/b", toys, looks=3)
    runner = make_runner(
        events,
        toys,
        play(Toy("toy/a", toys, act=lambda host: _stop(runner, events)), late, batch=1, undivided=True),
        play(Toy("toy/c", toys)),
    )

    with pytest.raises(KeyboardInterrupt):
        runner.run()

    assert toys.log == [("cp1", "toy/a"), ("cp1", "toy/b")]
    assert [event for event in events if isinstance(event, Interrupted)] == [Interrupted(walking_on=True)]
    assert [event.step for event in events if isinstance(event, StepChanged)] == ["toy/a", "toy/b"]


def test_a_second_wish_to_stop_ends_an_undivided_walk_after_the_script_in_hand() -> None:
    """Both wishes are acknowledged; a third one finds nothing that is left to ask for."""
    toys, events = Toys(), list[Event]()
    answers: list[bool] = []

    def act(host: str) -> None:
        _stop(runner, events)
        answers.append(runner.stop())
        _until(lambda: Interrupted() in events)
        answers.append(runner.stop())

    runner = make_runner(events, toys, play(Toy("toy/a", toys, act=act), Toy("toy/b", toys), batch=1, undivided=True))

    with pytest.raises(KeyboardInterrupt):
        runner.run()

    assert toys.log == [("cp1", "toy/a")]
    assert answers == [True, False]
    assert [event for event in events if isinstance(event, Interrupted)] == [
        Interrupted(walking_on=True),
        Interrupted(),
    ]


def test_a_wish_to_stop_is_firm_at_once_in_a_play_that_may_be_divided() -> None:
    """There is nothing softer than the script in hand there."""
    toys = Toys()
    runner = make_runner([], toys, play(Toy("toy/a", toys)))

    assert [runner.stop(), runner.stop()] == [True, False]


@pytest.mark.parametrize(
    ("batch", "sizes"), [(0, [3]), (1, [1, 1, 1]), (2, [2, 1]), ("25%", [1, 1, 1]), ("67%", [2, 1]), ("100%", [3])]
)
def test_a_batch_is_a_number_or_a_share(batch: int | str, sizes: list[int]) -> None:
    """A share is rounded down, and is one host at least."""
    assert [len(group) for group in play(hosts="all", batch=batch).batches(INVENTORY)] == sizes


class Late(Toy):
    """Holds after ``looks`` looks that follow its script; with ``slips`` it fails once more after it first held."""

    deadline = 60.0

    def __init__(self, name: str, toys: Toys, looks: int, *, steady: int = 1, slips: bool = False) -> None:
        super().__init__(name, toys, steady=steady)
        self.looks, self.slips, self.seen = looks, slips, list[bool]()

    def check(self, situation: Situation) -> Verdict:
        """By the number of looks so far."""
        if self.name not in situation.facts.modules:
            return Needed("not done")
        held = len(self.seen) >= self.looks and not (self.slips and len(self.seen) == self.looks + 1)
        self.seen.append(held)
        return Satisfied("done") if held else Needed("not yet")


def test_a_steady_step_is_believed_when_it_holds_several_times_in_a_row() -> None:
    """A slip in between begins the count anew."""
    toys = Toys()
    late = Late("toy/b", toys, looks=1, steady=3, slips=True)

    run(toys, play(Toy("toy/a", toys), late, hosts="first-control-plane"))

    assert late.seen == [False, True, False, True, True, True]


def test_a_steady_step_that_holds_is_looked_at_again_after_a_change() -> None:
    """It acts on nothing: what the walk changed before has to show first."""
    toys = Toys(done={("cp1", "toy/b")})
    late = Late("toy/b", toys, looks=0, steady=3)

    events = run(toys, play(Toy("toy/a", toys), late, hosts="first-control-plane"))

    assert toys.log == [("cp1", "toy/a")]
    assert late.seen == [True] * 4
    assert [event.step for event in events if isinstance(event, StepChanged)] == ["toy/a", "toy/b"]


def test_a_steady_step_costs_one_look_where_nothing_changed() -> None:
    """A second run does not wait."""
    toys = Toys(done={("cp1", "toy/a"), ("cp1", "toy/b")})
    late = Late("toy/b", toys, looks=0, steady=3)

    events = run(toys, play(Toy("toy/a", toys), late, hosts="first-control-plane"))

    assert late.seen == [True]
    assert not [event for event in events if isinstance(event, StepStarted)]


class OnAll(Toy):
    """Changes every host from one of them, and looks at all."""

    def check(self, situation: Situation) -> Verdict:
        """Whether it ran everywhere."""
        lacking = [name for name, facts in situation.all_facts.items() if self.name not in facts.modules]
        return Needed(f"not done on {', '.join(lacking)}") if lacking else Satisfied("done")

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Run."""
        self.toys.log.append((situation.host.name, self.name))
        self.toys.done |= {(name, self.name) for name in situation.all_facts}


def test_a_step_that_touches_other_hosts_has_them_read_again() -> None:
    """Its own check sees what it did there, and so does the next step on those hosts."""
    toys = Toys()
    on_all = OnAll("toy/a", toys, touches=("w1", "w2"))

    run(toys, play(on_all, hosts="first-control-plane"), play(Toy("toy/a", toys)))

    assert toys.log == [("cp1", "toy/a")]


def _refused_by_w1(host: str) -> None:
    raise CommandFailed("w1: toy/a failed with exit status 1", resolution="look at w1")


def _lose_w1(toys: Toys) -> Callable[[str], None]:
    return lambda host: toys.lost.add("w1")


@pytest.mark.parametrize("error", [CommandFailed, NotVerified])
def test_an_error_of_another_host_names_the_one_that_walks_as_well(error: type[ClusterctlError]) -> None:
    """Whether the other one fails what it is told, or cannot be looked at afterwards."""
    toys = Toys()
    act = _refused_by_w1 if error is CommandFailed else _lose_w1(toys)

    with pytest.raises(error, match=r"^cp1: toy/a.*w1") as caught:
        run(toys, play(Toy("toy/a", toys, act=act, touches=("w1",)), hosts="first-control-plane"))

    assert caught.value.what.count("toy/a") == (2 if error is CommandFailed else 1)


def test_another_host_that_cannot_be_looked_at_beforehand_is_named_with_the_one_that_walks() -> None:
    """Nothing was sent, and the exit code says so."""
    toys, clock = Toys(problem=ConnectError("w1: no route to host")), FakeClock()
    plays = play(Toy("toy/a", toys, touches=("w1",)), hosts="first-control-plane")
    runner = make_runner([], toys, plays, clock=clock)
    toys.lost.add("w1")
    clock.sleep(60)  # What was seen of it is too old to act on.

    with pytest.raises(ConnectError, match=r"^cp1: toy/a: w1: no route to host"):
        runner.run()

    assert toys.log == []


CHANGED_KEY = HostKeyError(
    "w1: THE HOST KEY OF 192.0.2.21 HAS CHANGED",
    details="it shows ssh-ed25519 SHA256:new",
    resolution="compare on the console of w1; only if it is the same key: clusterctl hosts trust --replace w1",
)


@pytest.mark.parametrize("error", [NotVerified, OutcomeUnknown])
def test_a_host_key_that_changed_ends_every_wait_at_once(error: type[ClusterctlError]) -> None:
    """Whether the step had come to its end or the connection broke in it: no later look would tell more."""
    toys, clock = Toys(problem=CHANGED_KEY), FakeClock()

    def act(host: str) -> None:
        toys.lost.add("w1")
        if error is OutcomeUnknown:
            raise OutcomeUnknown("w1: the connection broke while toy/a was running")

    with pytest.raises(error) as caught:
        make_runner([], toys, play(Toy("toy/a", toys, act=act), hosts="worker", batch=1), clock=clock).run()

    assert clock.now() == 0
    assert caught.value.what.startswith("w1: toy/a")
    assert "HAS CHANGED" in str(caught.value)
    assert "it shows ssh-ed25519 SHA256:new" in caught.value.details
    assert caught.value.resolution == CHANGED_KEY.resolution


LEAVE_AT_ONCE = """
import os, signal, threading
from tests.engine.test_runner import Toys, Toy, make_runner, play

# A process that a shell starts in the background is born deaf to SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
toys = Toys()
never = threading.Event()

def act(host):
    os.kill(os.getpid(), signal.SIGINT)
    never.wait(60)

try:
    make_runner([], toys, play(Toy("toy/a", toys, act=act), hosts="first-control-plane")).run()
except KeyboardInterrupt:
    os._exit(42)
"""


def test_a_keyboard_interrupt_leaves_at_once() -> None:
    """The step in hand is left behind; its script ends on the host. In a process of its own: it may be left too."""
    root = Path(__file__).parent.parent.parent

    done = subprocess.run([sys.executable, "-c", LEAVE_AT_ONCE], cwd=root, timeout=30, check=False)

    assert done.returncode == 42


def test_every_started_step_ends() -> None:
    """Each StepStarted has its StepChanged, StepFailed or StepLeft."""
    toys, events = Toys(), list[Event]()

    with pytest.raises(CommandFailed):
        run_into(events, toys, play(Toy("toy/a", toys, act=_break("w1")), Toy("toy/b", toys)))

    started = [(event.host, event.step) for event in events if isinstance(event, StepStarted)]
    ended = [(event.host, event.step) for event in events if isinstance(event, StepChanged | StepFailed | StepLeft)]
    assert sorted(started) == sorted(ended)


def test_the_plan_counts_and_changes_nothing() -> None:
    """changes, blocked and unknown are what the verdicts say."""
    toys = Toys()
    plan = make_plan(
        Playbook(
            "toys",
            (
                play(Toy("toy/a", toys)),
                play(Toy("toy/b", toys, verdict=Blocked("no", "yes")), hosts="first-control-plane"),
                play(Toy("toy/c", toys, verdict=Unknown("later")), hosts="worker"),
            ),
        ),
        INVENTORY,
        lambda host, step: Situation(INVENTORY, host, {h.name: make_facts(h.name) for h in INVENTORY.hosts}),
    )

    assert (plan.changes, len(plan.blocked), plan.unknown) == (3, 1, 2)
    assert plan.as_json()["changes"] == 3
    assert toys.log == []


def _break(*hosts: str) -> Callable[[str], None]:
    def act(host: str) -> None:
        if host in hosts:
            raise CommandFailed(f"{host} broke")

    return act


def _stop(runner: Runner, events: list[Event]) -> None:
    """Ask to stop, and wait until that is acknowledged."""
    runner.stop()
    _until(lambda: any(isinstance(event, Interrupted) for event in events))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not holds():
        time.sleep(0.01)


def _ignore(value: object) -> None:
    """Drop a value."""
