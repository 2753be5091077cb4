"""``clusterctl plan``, ``facts`` and ``render`` on a cluster in memory."""

import json
from pathlib import Path

from clusterctl.errors import ConnectError
from clusterctl.model.survey import Survey
from tests.builders import make_facts
from tests.cli.conftest import Call, FakeMachines, lines


def test_a_plan_changes_nothing_and_ends_with_0(call: Call, machines: FakeMachines) -> None:
    """Fresh hosts: changes are shown, folded, and nothing is done."""
    result = call("plan", "bootstrap")

    assert result.exit_code == 0
    assert any(line.startswith("  + cp1 w1 w2  os/sysctl") for line in lines(result))
    assert lines(result)[-1].startswith("bootstrap: ")
    assert machines.world.actions == []
    assert machines.closed


def test_a_plan_as_json_has_its_numbers_at_the_top(call: Call, machines: FakeMachines) -> None:
    """changes, blocked and unknown are integers."""
    plan = json.loads(call("plan", "bootstrap", "--json").stdout)

    assert plan["changes"] > 0
    assert plan["blocked"] == 0
    assert plan["unknown"] > 0


def test_a_plan_lists_satisfied_steps_when_asked(call: Call, machines: FakeMachines) -> None:
    """-v shows them, with what was seen."""
    assert not [line for line in lines(call("plan", "bootstrap")) if line.startswith("  = ")]
    assert [line for line in lines(call("plan", "bootstrap", "-v")) if line.startswith("  = ")]


def test_a_plan_shows_what_changes_in_files(call: Call, machines: FakeMachines) -> None:
    """--diff shows unified diffs."""
    result = call("plan", "bootstrap", "--diff")

    assert "      +net.ipv4.ip_forward = 1" in lines(result)


def test_a_blocked_plan_ends_with_3(call: Call, machines: FakeMachines) -> None:
    """The findings stand at the end, with what to do; JSON ends with 3 as well."""
    machines.world.hosts["w1"] = make_facts("w1", init="runit")

    result = call("plan", "bootstrap")

    assert result.exit_code == 3
    assert "  w1: preflight/system: process 1 is runit" in lines(result)
    assert call("plan", "bootstrap", "--json").exit_code == 3


def test_all_unreachable_hosts_are_told_together(call: Call, machines: FakeMachines) -> None:
    """Nothing is probed before every host answers."""
    machines.broken = {name: ConnectError(f"{name}: no route") for name in ("cp1", "w2")}

    result = call("plan", "bootstrap")

    assert result.exit_code == 4
    assert result.stderr == "cp1 w2: no route\n"


def test_a_problem_that_hosts_share_is_told_once(call: Call, machines: FakeMachines) -> None:
    """Our own key is missing for every host alike."""
    shared = ConnectError("cannot log in: there is no key")
    machines.broken = dict.fromkeys(("cp1", "w1", "w2"), shared)

    assert call("plan", "bootstrap").stderr == "cannot log in: there is no key\n"


def test_facts_of_one_host(call: Call, machines: FakeMachines) -> None:
    """Only the hosts that are named are connected to."""
    result = call("facts", "w1")

    assert result.exit_code == 0
    assert lines(result)[0] == "w1  192.0.2.21  worker"
    assert machines.connected == ["w1"]


def test_facts_as_json(call: Call, machines: FakeMachines) -> None:
    """Every fact of every host, sets as sorted lists."""
    facts = json.loads(call("facts", "--json").stdout)

    assert list(facts) == ["cp1", "w1", "w2"]
    assert facts["cp1"]["modules"] == ["overlay"]
    assert facts["cp1"]["packages"]["curl"] == {"version": "7.88.1-10", "held": False, "intact": True}


def test_facts_of_an_unknown_host(call: Call, machines: FakeMachines) -> None:
    """The names that exist are told."""
    result = call("facts", "w9")

    assert result.exit_code == 2
    assert "use one of: cp1, w1, w2" in result.stderr


def test_render_shows_the_script_of_a_step(call: Call, machines: FakeMachines) -> None:
    """What the step would run on that host as it is now."""
    machines.world.hosts["w1"] = make_facts("w1", swaps=("/my swap",))

    result = call("render", "os/swap-off", "--host", "w1")

    assert result.exit_code == 0
    assert "'/my swap'" in result.stdout
    assert machines.world.actions == []


def test_render_of_an_unknown_step_suggests_one(call: Call, machines: FakeMachines) -> None:
    """A misspelt step is bad input."""
    result = call("render", "os/swapoff", "--host", "w1")

    assert result.exit_code == 2
    assert "did you mean os/swap-off" in result.stderr


def test_render_of_a_step_that_runs_nothing(call: Call, machines: FakeMachines) -> None:
    """A check has no script; standard output stays empty."""
    result = call("render", "preflight/system", "--host", "w1")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "runs nothing" in result.stderr


def test_a_manifest_that_cannot_be_had_is_a_finding(call: Call, machines: FakeMachines) -> None:
    """It is told with the plan, before anything changes, and with what helps."""
    machines.manifest_problem = ConnectError("cannot download it: no route", resolution="name a file")

    result = call("plan", "bootstrap")

    assert result.exit_code == 3
    assert "cannot download it: no route" in result.stdout
    assert "name a file" in result.stdout
    assert not machines.world.actions


def test_manifests_of_another_plugin_are_not_read(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """flannel's manifest is clusterctl's own."""
    machines.manifest_problem = ConnectError("cannot download it: no route")
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("hosts:", "  network: {plugin: flannel}\nhosts:"))

    assert call("plan", "bootstrap").exit_code == 0


def test_a_finding_is_ignored_by_name(call: Call, machines: FakeMachines) -> None:
    """The plan goes on, and shows what was ignored."""
    machines.world.hosts["w1"] = make_facts("w1", init="runit")

    result = call("plan", "bootstrap", "--ignore", "preflight/system")

    assert result.exit_code == 0
    assert any(
        line.startswith("  ~ w1  preflight/system") and "ignored by the operator: process 1 is runit" in line
        for line in lines(result)
    )
    assert "1 warning (~)" in lines(result)[-1]
    assert call("bootstrap", "--yes", "--ignore", "preflight/system").exit_code == 0


def test_other_findings_still_block(call: Call, machines: FakeMachines) -> None:
    """Only the one that is named is ignored."""
    machines.world.hosts["w1"] = make_facts("w1", init="runit", dpkg_problem="kubelet is unpacked")

    result = call("bootstrap", "--yes", "--ignore", "preflight/system")

    assert result.exit_code == 3
    assert "--ignore preflight/system" in result.stderr


def test_what_cannot_be_ignored_is_told(call: Call, machines: FakeMachines) -> None:
    """A misspelt name gets a suggestion, a step that changes hosts a no."""
    misspelt = call("plan", "bootstrap", "--ignore", "preflight/sistem")
    change = call("plan", "bootstrap", "--ignore", "os/swap-off")

    assert (misspelt.exit_code, change.exit_code) == (2, 2)
    assert "did you mean preflight/system" in misspelt.stderr
    assert "cannot be ignored" in change.stderr


def test_the_survey_is_made_once_and_only_before_there_are_nodes(call: Call, machines: FakeMachines) -> None:
    """Several findings read one survey; on a finished cluster nobody is asked."""
    machines.world.surveys["w1"] = Survey(problem="perl is not installed")

    assert call("plan", "bootstrap").exit_code == 3
    assert machines.world.surveyed == [{"cp1", "w1", "w2"}]

    machines.world.surveys.clear()
    assert call("bootstrap", "--yes").exit_code == 0
    machines.world.surveyed.clear()
    assert call("plan", "bootstrap").exit_code == 0
    assert machines.world.surveyed == [set()]


def test_a_saved_plan_keeps_its_ignored_findings(call: Call, machines: FakeMachines) -> None:
    """What was ignored at planning is ignored when exactly that is done, and is not decided again."""
    machines.world.hosts["w1"] = make_facts("w1", init="runit")

    assert call("plan", "bootstrap", "--ignore", "preflight/system", "-o", "plan.json").exit_code == 0
    assert call("run", "plan.json", "--yes", "--ignore", "preflight/ports").exit_code == 2
    assert call("run", "plan.json", "--yes").exit_code == 0
