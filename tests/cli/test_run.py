"""``clusterctl run``, ``--limit``, ``steps`` and ``inventory schema`` on a cluster in memory."""

import json
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError
from clusterctl.report.steps import steps_markdown
from clusterctl.steps.catalogue import CATALOGUE
from tests.cli.conftest import Call, FakeMachines, lines

PLAYBOOK = """\
plays:
  - name: Quiet the hosts
    hosts: all
    run: [os/swap-off, os/modules]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A playbook of the operator's own."""
    path = tmp_path / "quiet.yaml"
    path.write_text(PLAYBOOK)
    return path


def test_a_playbook_of_ones_own(call: Call, machines: FakeMachines, own: Path) -> None:
    """Only its steps run, and a second call has nothing to do."""
    result = call("run", str(own), "--yes")

    assert result.exit_code == 0, result.output
    assert {step for _, step in machines.world.actions} == {"os/swap-off", "os/modules"}
    assert lines(call("run", str(own)))[-1] == "Nothing to do."


def test_the_plan_of_a_playbook_of_ones_own(call: Call, machines: FakeMachines, own: Path) -> None:
    """A path with a suffix is a file."""
    result = call("plan", "quiet.yaml")

    assert result.exit_code == 0
    assert lines(result)[-1].startswith("quiet: 6 changes (+)")


def test_a_failure_names_the_command_that_goes_on(call: Call, machines: FakeMachines, own: Path) -> None:
    """The same words again, the limit included."""
    machines.world.break_at = 0

    result = call("-i", "inventory.yaml", "run", "quiet.yaml", "--yes", "--limit", "w1,w2")

    assert result.exit_code == 6
    assert "go on with: clusterctl -i inventory.yaml run quiet.yaml --limit w1 --limit w2" in result.stdout


def test_an_unknown_playbook_names_those_there_are(call: Call, machines: FakeMachines) -> None:
    """Bad input; no host is connected to."""
    result = call("run", "bootstap")

    assert result.exit_code == 2
    assert "bootstrap" in result.stderr
    assert machines.connected == []


def test_limit_walks_the_named_hosts_only(call: Call, machines: FakeMachines, own: Path) -> None:
    """The others are looked at and left alone."""
    result = call("run", "quiet.yaml", "--yes", "--limit", "w1")

    assert result.exit_code == 0, result.output
    assert {host for host, _ in machines.world.actions} == {"w1"}
    assert set(machines.connected) == {"cp1", "w1", "w2"}


def test_limit_takes_a_role(call: Call, machines: FakeMachines, own: Path) -> None:
    """worker means every worker."""
    call("run", "quiet.yaml", "--yes", "--limit", "worker")

    assert {host for host, _ in machines.world.actions} == {"w1", "w2"}


def test_limit_needs_no_answer_from_the_others(call: Call, machines: FakeMachines, own: Path) -> None:
    """w2 is down: w1 alone can go on, everybody together cannot."""
    machines.broken = {"w2": ConnectError("w2: no route")}

    assert call("run", "quiet.yaml", "--yes").exit_code == 4
    assert call("run", "quiet.yaml", "--yes", "--limit", "w1").exit_code == 0
    assert {host for host, _ in machines.world.actions} == {"w1"}


def test_limit_with_an_unknown_host(call: Call, machines: FakeMachines) -> None:
    """A misspelt host is bad input, never an empty run."""
    result = call("plan", "bootstrap", "--limit", "w11")

    assert result.exit_code == 2
    assert "did you mean 'w1'?" in result.stderr


def test_a_worker_is_added_with_limit(call: Call, machines: FakeMachines) -> None:
    """bootstrap --limit on a cluster that lacks one worker joins that worker."""
    call("bootstrap", "--yes", "--limit", "cp1,w1")
    assert machines.world.api is not None
    assert set(machines.world.api.nodes) == {"cp1", "w1"}

    assert call("bootstrap", "--yes", "--limit", "w2").exit_code == 0
    assert set(machines.world.api.nodes) == {"cp1", "w1", "w2"}


def test_the_catalogue_of_steps(call: Call) -> None:
    """Every step with its title, its postcondition and what its check looks at."""
    listed = json.loads(call("steps", "--json").stdout)

    assert [step["name"] for step in listed] == [step.name for step in CATALOGUE.values()]
    assert all(step["title"] and step["postcondition"] and step["check"] for step in listed)
    assert "os/swap-off  Turn swap off" in lines(call("steps"))


def test_the_page_of_steps_is_up_to_date() -> None:
    """docs/steps.md is what the steps say."""
    written = Path(__file__).parents[2] / "docs" / "steps.md"

    assert written.read_text() == steps_markdown(CATALOGUE.values()), "run: clusterctl steps --markdown > docs/steps.md"


def test_the_schema_is_json(call: Call) -> None:
    """inventory schema prints one JSON document."""
    assert json.loads(call("inventory", "schema").stdout)["title"] == "clusterctl inventory"
