"""The library: what ``import clusterctl`` gives, what it costs, and that errors are errors."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import clusterctl
from clusterctl.engine.events import Event, RunFinished, StepChanged
from clusterctl.errors import ConnectError, InputError, Refused
from tests.cli.conftest import INVENTORY, Call, FakeMachines, call, machines, world  # noqa: F401 - fixtures.

TWO_STEPS = Path(__file__).parents[1] / "docs" / "examples" / "two-steps.yaml"


def test_the_import_brings_nothing_along() -> None:
    """What a name needs is imported when it is asked for."""
    code = "import sys; before = set(sys.modules); import clusterctl; print(sorted(set(sys.modules) - before))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "['clusterctl', 'clusterctl.version']\n"


def test_every_name_is_there_documented_and_sorted() -> None:
    """A name that is exported can be used, and says how."""
    assert clusterctl.__all__ == sorted(clusterctl.__all__)
    for name in clusterctl.__all__:
        assert getattr(clusterctl, name).__doc__
        assert name in dir(clusterctl)
    with pytest.raises(AttributeError, match="no attribute 'destroy'"):
        clusterctl.destroy  # noqa: B018


def test_its_types_are_for_others_as_well() -> None:
    """A package with types says so."""
    assert (Path(clusterctl.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(
    ("text", "said"), [("cluster: {}\n", "mistakes"), ("{", "not valid YAML"), (None, "there is no inventory")]
)
def test_a_wrong_inventory_is_an_error(tmp_path: Path, text: str | None, said: str) -> None:
    """The same one as a command's, and no end of the program."""
    path = tmp_path / "inventory.yaml"
    if text is not None:
        path.write_text(text)

    for read in (clusterctl.load, clusterctl.connect):
        with pytest.raises(InputError, match=said):
            read(path)


def test_a_plan_and_a_run(call: Call, machines: FakeMachines) -> None:  # noqa: F811
    """In memory: events come as they happen, and a second run finds nothing to do."""
    events: list[Event] = []

    with clusterctl.connect("inventory.yaml") as session:
        plan = clusterctl.plan(session, TWO_STEPS)
        assert (plan.changes, len(plan.blocked)) == (6, 0)
        assert clusterctl.run(session, TWO_STEPS, limit=["worker"], subscriber=events.append)
        assert clusterctl.plan(session, TWO_STEPS).changes == 2
        assert not clusterctl.run(session, TWO_STEPS, limit=["worker"])

    assert {event.host for event in events if isinstance(event, StepChanged)} == {"w1", "w2"}
    assert isinstance(events[-1], RunFinished)


def test_nothing_is_printed(
    call: Call,  # noqa: F811
    machines: FakeMachines,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A program decides itself what it shows."""
    with clusterctl.connect("inventory.yaml") as session:
        clusterctl.run(session, "bootstrap")
        clusterctl.forecast(session)

    assert capfd.readouterr() == ("", "")


def test_the_words_of_a_program_are_its_own(
    call: Call,  # noqa: F811
    machines: FakeMachines,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The audit trail names it, and keeps nothing of what it was called with."""
    monkeypatch.setattr(sys, "argv", ["/opt/bin/deploy", "--password", "hunter22"])

    with clusterctl.connect("inventory.yaml") as session:
        clusterctl.run(session, TWO_STEPS)

    (trail,) = (tmp_path / "state" / "clusterctl" / "runs").glob("*.ndjson")
    assert '"command": "deploy"' in trail.read_text()
    assert "hunter22" not in trail.read_text()


def test_a_run_in_a_thread_of_its_own(call: Call, machines: FakeMachines) -> None:  # noqa: F811
    """Signals belong to the program's main thread; a run elsewhere leaves them alone."""

    def act() -> bool:
        with clusterctl.connect("inventory.yaml") as session:
            return clusterctl.run(session, TWO_STEPS)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(act).result()


def test_errors_are_those_of_the_commands(call: Call, machines: FakeMachines) -> None:  # noqa: F811
    """What is not there, what cannot be reached, and what somebody else holds."""
    with clusterctl.connect("inventory.yaml") as session:
        with pytest.raises(InputError, match="there is no playbook 'bootstrp'"):
            clusterctl.plan(session, "bootstrp")
        with pytest.raises(InputError, match="no host 'w9'"):
            clusterctl.execute(session, ["w9"], "true", read_only=True)
        machines.broken = {"w1": ConnectError("w1: it is off")}
        with pytest.raises(ConnectError, match="w1: it is off"):
            clusterctl.plan(session, TWO_STEPS)
        (ran,) = clusterctl.execute(session, ["w1"], "true", read_only=True)
        assert ran.error is machines.broken["w1"]
        machines.broken = {}
        machines.holder = "eve"
        with pytest.raises(Refused, match="eve"):
            clusterctl.run(session, TWO_STEPS)


def test_an_unknown_host_has_no_connection() -> None:
    """A Group is of hosts that are there."""
    from clusterctl.model.inventory import parse_inventory

    with pytest.raises(InputError, match="no host 'w9'"):
        clusterctl.connections(parse_inventory(INVENTORY), "w9")
