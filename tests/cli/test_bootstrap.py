"""``clusterctl bootstrap`` on a cluster in memory: the question, the run, the end."""

import pytest

from clusterctl.engine import view
from clusterctl.errors import CommandFailed
from tests.builders import make_facts
from tests.cli.conftest import Call, FakeMachines, lines


def test_yes_makes_the_cluster(call: Call, machines: FakeMachines) -> None:
    """The plan, the run, the summary, and what to type next."""
    result = call("-i", "inventory.yaml", "bootstrap", "--yes")

    assert result.exit_code == 0, result.output
    assert machines.world.api is not None
    assert set(machines.world.api.nodes) == {"cp1", "w1", "w2"}
    assert any("bootstrap: done after" in line for line in lines(result))
    assert lines(result)[-3:] == [
        "  clusterctl -i inventory.yaml kubeconfig --output admin.conf",
        "  clusterctl -i inventory.yaml status",
        "  clusterctl -i inventory.yaml verify",
    ]
    assert machines.closed


def test_a_second_run_has_nothing_to_do(call: Call, machines: FakeMachines) -> None:
    """0 changes: said, and not asked."""
    call("bootstrap", "--yes")
    before = len(machines.world.actions)

    result = call("bootstrap")

    assert result.exit_code == 0
    assert lines(result)[-1] == "Nothing to do: the cluster is as the inventory wants it."
    assert len(machines.world.actions) == before


def test_without_a_terminal_it_is_refused(call: Call, machines: FakeMachines) -> None:
    """Nobody can answer; --yes is named."""
    result = call("bootstrap", answer="y\n")

    assert result.exit_code == 3
    assert "use --yes" in result.stderr
    assert machines.world.actions == []


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_no_is_the_answer_unless_yes_is_said(answer: str, call: Call, machines: FakeMachines) -> None:
    """Nothing was changed, and it says so."""
    result = call("bootstrap", answer=answer)

    assert result.exit_code == 3
    assert "The answer was no. Nothing was changed." in result.stderr
    assert machines.world.actions == []


@pytest.mark.usefixtures("terminal")
def test_the_answer_yes_goes_on(call: Call, machines: FakeMachines) -> None:
    """The question comes after the plan, on standard error."""
    result = call("bootstrap", answer="y\n")

    assert result.exit_code == 0
    assert "changes on the hosts, and what follows from them? [y/N]" in result.stderr
    assert machines.world.api is not None


@pytest.mark.usefixtures("terminal")
def test_the_end_of_input_is_no_answer(call: Call, machines: FakeMachines) -> None:
    """Ctrl-D at the question ends like Ctrl-C."""
    result = call("bootstrap", answer="")

    assert result.exit_code == 130
    assert machines.world.actions == []


def test_blocked_findings_stop_it_before_anything_changes(call: Call, machines: FakeMachines) -> None:
    """All findings are shown, --yes or not."""
    machines.world.hosts["w1"] = make_facts("w1", init="runit")
    machines.world.hosts["cp1"] = make_facts("cp1", cpus=1)

    result = call("bootstrap", "--yes")

    assert result.exit_code == 3
    assert "process 1 is runit" in result.stdout
    assert "1 processor" in result.stdout
    assert "2 findings above must be settled first. Nothing was changed." in result.stderr
    assert "then run: clusterctl bootstrap" in result.stderr
    assert machines.world.actions == []


def test_a_failure_says_what_is_left_and_how_to_go_on(call: Call, machines: FakeMachines) -> None:
    """The error's exit code, the steps that each host lacks, and the same command."""
    machines.world.break_at = 0

    result = call("bootstrap", "--yes")

    assert result.exit_code == CommandFailed.exit_code
    assert "Not done" in lines(result)
    assert lines(result)[-1] == "When the cause is out of the way, go on with: clusterctl bootstrap"
    assert "exited with 1" in result.stderr


def test_the_api_is_connected_to_once(call: Call, machines: FakeMachines) -> None:
    """A connection to the API is kept for the whole run."""
    call("bootstrap", "--yes")

    assert machines.apis == 1


def test_a_host_that_is_busy_is_waited_for(call: Call, machines: FakeMachines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script of an earlier run ends first."""
    monkeypatch.setattr(view, "_BUSY_DEADLINE", 60.0)
    machines.world.pending["w1"] = (lambda: None, 3)

    assert call("plan", "bootstrap").exit_code == 0
