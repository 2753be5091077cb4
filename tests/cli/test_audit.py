"""The audit trail, the log of events, and one operator at a time, on a cluster in memory."""

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Call, FakeMachines

TOKEN = "abcdef.0123456789abcdef"


def trails(tmp_path: Path) -> list[Path]:
    """The audit trails of all runs, oldest first."""
    return sorted((tmp_path / "state" / "clusterctl" / "runs").glob("*.ndjson"))


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_action_is_in_the_trail(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """Scripts with their text, secrets and API verbs without them; who called, with which words, comes first."""
    result = call("bootstrap", "--yes")

    (path,) = trails(tmp_path)
    lines = read(path)
    assert f"What was sent, and what came back: {path}" in result.stderr
    assert lines[0]["event"] == "call"
    assert "@" in lines[0]["operator"]
    sent = [(line["host"], line.get("script") or line["verb"]) for line in lines if line["event"] == "sent"]
    assert len(sent) == len(machines.world.actions)
    assert ("w1", "workers/join") in sent
    scripts = [line for line in lines if line["event"] == "sent" and line.get("script") == "os/sysctl"]
    assert "net.ipv4.ip_forward" in scripts[0]["text"]
    assert lines[-1]["event"] == "run-finished"


def test_the_trail_is_for_its_owner_and_without_secrets(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """Mode 0600 below a directory of mode 0700; the join token is nowhere."""
    call("bootstrap", "--yes")

    (path,) = trails(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert TOKEN not in path.read_text()
    assert "create_join_token" in path.read_text()


def test_a_drain_is_in_the_trail_with_what_it_was_told(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """The node and the options, and nothing of the program's inside."""
    call("bootstrap", "--yes")
    call("drain", "w1", "--yes")

    lines = read(trails(tmp_path)[-1])
    (drain,) = [line for line in lines if line["event"] == "sent" and line["verb"] == "drain"]
    node, options = drain["arguments"]
    assert node == "w1"
    assert "timeout" in options


def test_a_failed_run_has_a_trail_too(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """The failure is in it, and its path is told."""
    machines.world.break_at = 0

    result = call("bootstrap", "--yes")

    (path,) = trails(tmp_path)
    assert str(path) in result.stderr
    assert [line for line in read(path) if line["event"] == "failed"]
    assert [line for line in read(path) if line["event"] == "step-failed"]


def test_nothing_to_do_leaves_no_trail(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """Only what acts is recorded."""
    call("bootstrap", "--yes")
    call("bootstrap", "--yes")

    assert len(trails(tmp_path)) == 1


def test_events_are_written_on_request(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """--log has every event of the engine, one JSON object a line."""
    call("bootstrap", "--yes", "--log", "events.ndjson")

    events = read(tmp_path / "events.ndjson")
    assert [events[0]["event"], events[-1]["event"]] == ["run-started", "run-finished"]
    assert events[-1]["failed"] == 0
    changed = [event for event in events if event["event"] == "step-changed"]
    assert len(changed) == events[-1]["changed"]


def test_a_state_directory_that_cannot_be_made_is_told_before_anything_changes(
    call: Call, machines: FakeMachines, tmp_path: Path
) -> None:
    """Without an audit trail nothing is sent."""
    (tmp_path / "state").write_text("a file")

    result = call("bootstrap", "--yes")

    assert result.exit_code == 2
    assert "XDG_STATE_HOME" in result.stderr
    assert machines.world.actions == []


def test_a_second_operator_is_refused(call: Call, machines: FakeMachines) -> None:
    """Who holds the lock is told; looking stays possible."""
    machines.holder = "ann@laptop since 2026-11-21T04:41:28Z: clusterctl bootstrap"

    result = call("bootstrap", "--yes")

    assert result.exit_code == 3
    assert "another operator works on this cluster: ann@laptop since" in result.stderr
    assert machines.world.actions == []
    assert call("plan", "bootstrap").exit_code == 0


def test_the_lock_is_given_back(call: Call, machines: FakeMachines) -> None:
    """When the command ends."""
    call("bootstrap", "--yes")

    assert [hold.alive for hold in machines.holds] == [False]


def test_a_lock_that_was_lost_is_taken_again_before_the_next_action(call: Call, machines: FakeMachines) -> None:
    """By the same run."""
    glances = machines.hold

    def lose(*arguments: Any, **more: Any) -> Any:
        hold = glances(*arguments, **more)
        hold.alive = len(machines.holds) > 1
        return hold

    machines.hold = lose  # type: ignore[method-assign]

    assert call("bootstrap", "--yes").exit_code == 0
    assert len(machines.holds) == 2
    assert len({hold.run for hold in machines.holds}) == 1
