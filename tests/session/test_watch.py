"""What a script is at is told while it runs."""

import threading
from dataclasses import dataclass
from typing import cast

import pytest

from clusterctl.errors import ConnectError
from clusterctl.render import Script
from clusterctl.session import watch
from clusterctl.session.watch import watched_machine
from clusterctl.steps.step import Machine


@dataclass
class Slow:
    """A machine whose script ends when somebody has seen it run."""

    seen: threading.Event

    def run(self, script: Script) -> str:
        """Wait for a look."""
        assert self.seen.wait(10)
        return "done"


def test_a_script_that_waits_for_a_lock_says_who_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of its log is told."""
    monkeypatch.setattr(watch, "_EVERY", 0.01)
    seen, said = threading.Event(), list[str]()

    def say(line: str) -> None:
        said.append(line)
        seen.set()

    line = "Waiting for cache lock: It is held by process 86 (unattended-upgr)..."
    machine = watched_machine(cast(Machine, Slow(seen)), lambda: line, say)

    assert machine.run(Script("a/b", "true")) == "done"
    assert line in said


def test_a_look_that_fails_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's own end says what is wrong."""
    monkeypatch.setattr(watch, "_EVERY", 0.01)
    seen, said = threading.Event(), list[str]()

    def glance() -> str:
        seen.set()
        raise ConnectError("gone")

    assert watched_machine(cast(Machine, Slow(seen)), glance, said.append).run(Script("a/b", "true")) == "done"
    assert said == []
