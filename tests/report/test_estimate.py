"""Time left from earlier runs, and the critical path."""

from pathlib import Path

from clusterctl.engine.events import PlayStarted, RunStarted, StepChanged, StepFailed, StepStarted
from clusterctl.engine.plan import Plan, PlannedStep
from clusterctl.engine.playbook import load_playbook
from clusterctl.errors import CommandFailed
from clusterctl.model.verdict import Needed, Satisfied, Unknown
from clusterctl.report.estimate import Estimate, durations_text, make_estimate, read_durations, typical
from clusterctl.report.record import Record
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import make_inventory

SECONDS = {"a/long": 30.0, "a/short": 5.0}
ESTIMATE = Estimate(
    (
        ((("cp1", ("a/long",)), ("w1", ("a/long", "a/short"))), (("w2", ("a/short",)),)),
        ((("cp1", ("a/short",)),),),
    ),
    SECONDS,
)


def test_hosts_walk_at_once_batches_and_plays_one_after_the_other() -> None:
    """The slowest host of each batch counts: 35 + 5, then 5."""
    assert ESTIMATE.left(set(), {}) == 45.0


def test_what_is_done_or_under_way_counts_less() -> None:
    """w1 is 10 seconds into its second step, which takes 5: nothing of it is left."""
    done = {("w1", "a/long"), ("cp1", "a/long")}

    assert ESTIMATE.left(done, {("w1", "a/short"): 10.0}) == 10.0


def test_a_step_that_was_never_timed_makes_no_estimate() -> None:
    """Nothing is guessed."""
    assert Estimate((((("w1", ("a/new",)),),),), SECONDS).left(set(), {}) is None


def test_only_what_will_act_is_estimated(tmp_path: Path) -> None:
    """Satisfied steps take no time."""
    (tmp_path / "p.yaml").write_text("plays: [{name: P, hosts: worker, batch: 1, run: [os/swap-off, os/sysctl]}]")
    playbook = load_playbook(tmp_path / "p.yaml", CATALOGUE)
    plan = Plan(
        "p",
        (
            PlannedStep("P", "w1", "os/swap-off", "", Satisfied("off")),
            PlannedStep("P", "w1", "os/sysctl", "", Needed("0")),
            PlannedStep("P", "w2", "os/sysctl", "", Unknown("later")),
        ),
    )

    estimate = make_estimate(playbook, make_inventory(), plan, {"os/sysctl": 2.0})

    assert estimate.plays == (((("w1", ("os/sysctl",)),), (("w2", ("os/sysctl",)),)),)
    assert estimate.left(set(), {}) == 4.0


def test_durations_are_kept_for_the_last_runs(tmp_path: Path) -> None:
    """The slowest host of each run, five runs, their median; a failed step is not counted."""
    record = Record()
    record.add(RunStarted("p", ("w1", "w2"), 2), 0.0)
    record.add(StepChanged("w1", "a/long", "", 31.0), 31.0)
    record.add(StepChanged("w2", "a/long", "", 33.0), 33.0)
    record.add(StepFailed("w1", "a/bad", CommandFailed("x"), 1.0), 34.0)

    path = tmp_path / "durations.json"
    path.write_text(durations_text({"a/long": [1.0, 2.0, 3.0, 4.0, 5.0]}, record))

    assert read_durations(path) == {"a/long": [2.0, 3.0, 4.0, 5.0, 33.0]}
    assert typical(read_durations(path)) == {"a/long": 4.0}


def test_a_damaged_file_of_durations_is_no_problem(tmp_path: Path) -> None:
    """There is no estimate then."""
    path = tmp_path / "durations.json"
    assert read_durations(path) == {}
    path.write_text('{"a": 3}')
    assert read_durations(path) == {}


def test_the_critical_path_goes_through_the_hosts_that_ended_last() -> None:
    """In a play of two batches both count; in the next play the only host."""
    record = Record()
    record.add(RunStarted("p", ("cp1", "w1", "w2"), 4), 0.0)
    record.add(PlayStarted("One", ("w1", "w2", "cp1")), 0.0)
    for host, began, ended in (("w1", 0.0, 10.0), ("w2", 0.0, 7.0), ("cp1", 10.0, 15.0)):
        record.add(StepStarted(host, "a/long", "", ""), began)
        record.add(StepChanged(host, "a/long", "", ended - began), ended)
    record.add(PlayStarted("Two", ("cp1",)), 15.0)
    record.add(StepChanged("cp1", "a/short", "", 5.0), 20.0)

    path = [(play, span.host, span.ended - span.began) for play, span in record.critical_path()]

    assert path == [("One", "w1", 10.0), ("One", "cp1", 5.0), ("Two", "cp1", 5.0)]
