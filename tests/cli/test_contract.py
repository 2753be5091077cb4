"""A saved plan is a contract: ``plan -o FILE`` and ``run FILE`` on a cluster in memory."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import make_facts
from tests.cli.conftest import INVENTORY, Call, FakeMachines, lines

LABELLED = INVENTORY.replace("role: worker}", "role: worker, labels: {disk: ssd}}", 1)


def test_a_saved_plan_makes_the_whole_cluster(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """Every action of an undisturbed bootstrap is one that the plan has, or one that it could not know."""
    (tmp_path / "inventory.yaml").write_text(LABELLED)
    saved = call("plan", "bootstrap", "-o", "plan.json")

    result = call("run", "plan.json", "--yes")

    assert saved.exit_code == 0
    assert "clusterctl run plan.json" in saved.stderr
    assert result.exit_code == 0, result.output
    assert machines.world.api is not None
    assert set(machines.world.api.nodes) == {"cp1", "w1", "w2"}
    assert machines.world.api.join_tokens == ()


def test_a_saved_plan_has_every_text_and_is_for_its_owner(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """What each needed step would send, word for word; digests of inventory and playbook; mode 0600."""
    call("plan", "bootstrap", "-o", "plan.json")

    path = tmp_path / "plan.json"
    saved = json.loads(path.read_text())
    texts = {(step["host"], step["step"]): step["text"] for step in saved["steps"]}
    assert path.stat().st_mode & 0o777 == 0o600
    assert "net.ipv4.ip_forward" in texts["w1", "os/sysctl"]
    assert texts["w1", "runtime/config"] == ""
    assert set(saved["digests"]) == {"inventory", "playbook"}
    assert saved["playbook"] == "bootstrap"


def test_a_run_that_was_cut_short_goes_on_with_the_same_plan(call: Call, machines: FakeMachines) -> None:
    """What is done already is no drift."""
    call("plan", "bootstrap", "-o", "plan.json")
    machines.world.break_at = 12
    assert call("run", "plan.json", "--yes").exit_code == 6
    machines.world.break_at = None

    assert call("run", "plan.json", "--yes").exit_code == 0


@pytest.mark.usefixtures("terminal")
def test_the_question_names_what_could_not_be_known(call: Call, machines: FakeMachines) -> None:
    """Steps that were unknown at planning are part of what is agreed to."""
    call("plan", "bootstrap", "-o", "plan.json")

    result = call("run", "plan.json", answer="n\n")

    assert result.exit_code == 3
    assert "as planned on 20" in result.stderr
    assert "and what turns out to be needed of runtime/config, " in result.stderr


def test_what_was_satisfied_may_not_have_become_needed(call: Call, machines: FakeMachines) -> None:
    """Somebody switched swap on after the plan: told before anything is done, and nothing is done."""
    call("bootstrap", "--yes")
    done = len(machines.world.actions)
    machines.world.hosts["w2"] = replace(machines.world.hosts["w2"], modules=frozenset())
    call("plan", "bootstrap", "-o", "plan.json")
    machines.world.hosts["w1"] = replace(machines.world.hosts["w1"], swaps=("/swapfile",))

    result = call("run", "plan.json", "--yes")

    assert result.exit_code == 3
    assert "w1: os/swap-off: it was satisfied (no swap is on, now and at boot), and is not any more" in result.stderr
    assert "Nothing was changed." in result.stderr
    assert len(machines.world.actions) == done


def test_what_is_sent_may_not_have_changed(call: Call, machines: FakeMachines) -> None:
    """The same step would now switch off another file: another text than the one that was read."""
    machines.world.hosts["w1"] = make_facts("w1", swaps=("/swapfile",))
    call("plan", "bootstrap", "-o", "plan.json")
    machines.world.hosts["w1"] = make_facts("w1", swaps=("/other",))

    result = call("run", "plan.json", "--yes")

    assert result.exit_code == 3
    assert "w1: os/swap-off: it would send another text than planned; now: swap is on: /other" in result.stderr
    assert machines.world.actions == []


def test_drift_during_the_run_stops_that_host(
    call: Call, machines: FakeMachines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the agreement and the action a machine changed: that action is not made."""
    call("plan", "bootstrap", "-o", "plan.json")
    real = machines.machine
    drifted: list[str] = []

    def drift(host: object) -> object:
        if not drifted:
            drifted.append("w2")
            machines.world.hosts["w2"] = replace(machines.world.hosts["w2"], modules=frozenset({"br_netfilter"}))
        return real(host)  # type: ignore[arg-type]

    monkeypatch.setattr(machines, "machine", drift)

    result = call("run", "plan.json", "--yes")

    assert result.exit_code == 3, result.output
    assert "w2: os/modules is not what was planned" in result.stderr
    assert ("w2", "os/modules") not in machines.world.actions


@pytest.mark.parametrize("what", ["inventory", "playbook"])
def test_another_inventory_or_playbook_is_refused(
    call: Call, machines: FakeMachines, tmp_path: Path, what: str
) -> None:
    """Before anybody connects."""
    (tmp_path / "own.yaml").write_text("plays: [{name: Quiet, hosts: all, run: [os/swap-off]}]\n")
    call("plan", "own.yaml", "-o", "plan.json")
    path = tmp_path / {"inventory": "inventory.yaml", "playbook": "own.yaml"}[what]
    path.write_text(path.read_text() + "# changed\n")
    machines.connected.clear()

    result = call("run", "plan.json", "--yes")

    assert result.exit_code == 3
    assert f"the {what} changed since the plan was made" in result.stderr
    assert machines.connected == []


def test_a_limit_is_part_of_the_plan(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """run FILE walks the hosts that were planned, and takes no other limit."""
    (tmp_path / "own.yaml").write_text("plays: [{name: Quiet, hosts: all, run: [os/swap-off]}]\n")
    call("plan", "own.yaml", "--limit", "w1", "-o", "plan.json")

    assert call("run", "plan.json", "--limit", "w2").exit_code == 2
    assert call("run", "plan.json", "--yes").exit_code == 0
    assert {host for host, _ in machines.world.actions} == {"w1"}


def test_a_blocked_plan_is_not_saved(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """The findings are shown, and there is nothing to run."""
    machines.world.hosts["w1"] = make_facts("w1", init="runit")

    result = call("plan", "bootstrap", "-o", "plan.json")

    assert result.exit_code == 3
    assert "not saved" in result.stderr
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("text", ['{"format": "clusterctl plan, format 9"}', '{"format": "clusterctl plan, format 1"}'])
def test_a_damaged_plan_is_bad_input(call: Call, machines: FakeMachines, tmp_path: Path, text: str) -> None:
    """Another format, or a file without its parts."""
    (tmp_path / "plan.json").write_text(text)

    result = call("run", "plan.json")

    assert result.exit_code == 2
    assert "plan.json is not a plan that this version can run" in result.stderr


def test_a_plan_with_everything_done_has_nothing_to_do(call: Call, machines: FakeMachines) -> None:
    """The plan was carried out; a second run of it changes nothing."""
    call("plan", "bootstrap", "-o", "plan.json")
    call("run", "plan.json", "--yes")

    assert lines(call("run", "plan.json"))[-1] == "Nothing to do."
