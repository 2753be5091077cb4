"""JSON lines: events in words of their own, and no secret in any of them."""

import json
from pathlib import Path

import pytest

from clusterctl.engine.events import StepChanged, StepFailed
from clusterctl.errors import CommandFailed, InputError
from clusterctl.model.secret import Secret
from clusterctl.report.ndjson import Lines


def test_an_event_is_a_line(tmp_path: Path) -> None:
    """Its name, its time and its values."""
    with Lines(tmp_path / "log") as lines:
        lines.event(StepChanged("w1", "os/swap-off", "no swap is on", 0.4))

    event = json.loads((tmp_path / "log").read_text())
    assert event.pop("at").endswith("+00:00")
    assert event == {
        "event": "step-changed",
        "host": "w1",
        "step": "os/swap-off",
        "note": "no swap is on",
        "seconds": 0.4,
    }


def test_an_error_is_written_with_its_exit_code(tmp_path: Path) -> None:
    """What, details and what to do next."""
    with Lines(tmp_path / "log") as lines:
        lines.event(StepFailed("w1", "a/b", CommandFailed("w1: it failed", resolution="look"), 1.0))

    assert json.loads((tmp_path / "log").read_text())["error"] == {
        "exit_code": 6,
        "what": "w1: it failed",
        "resolution": "look",
    }


def test_secrets_are_stars(tmp_path: Path) -> None:
    """A Secret itself, and its value in any text once somebody has used it."""
    with Lines(tmp_path / "log") as lines:
        secret = Secret("hunter22")
        secret.reveal()
        lines.write("sent", arguments=("path", secret))
        lines.write("returned", result="the password hunter22 was wrong")

    text = (tmp_path / "log").read_text()
    assert "hunter22" not in text
    assert text.count("***") == 2


def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    """Mode 0600."""
    with Lines(tmp_path / "log"):
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    """Said before anything else happens."""
    with pytest.raises(InputError, match="cannot write"):
        Lines(tmp_path / "none" / "log")


def test_a_full_disk_ends_no_run() -> None:
    """The lines that are missing are told afterwards."""
    with Lines(Path("/dev/full")) as lines:
        lines.write("sent")

        assert lines.problem == "No space left on device"
