"""What a lab's file says, and the lock beside it."""

import json
from pathlib import Path

import pytest

from clusterctl.errors import InputError, Refused
from clusterctl.lab.state import Directory, from_json, this_boot, to_json
from tests.lab.builders import make_state


@pytest.mark.parametrize("served", [None, make_state().served])
def test_a_lab_survives_its_file(tmp_path: Path, served: object) -> None:
    """What is read is what was written, with official sources and with our own."""
    state = make_state(served=served)
    directory = Directory("lab", tmp_path)

    directory.save(state)

    assert directory.load() == state


def test_there_is_no_lab_before_it_is_written(tmp_path: Path) -> None:
    """An absent file is no lab, not an error."""
    assert Directory("lab", tmp_path).load() is None


def test_a_file_of_another_version_is_refused() -> None:
    """The error names the file and what to do."""
    with pytest.raises(InputError, match=r"lab\.json was written by another version"):
        from_json({**to_json(make_state()), "schema": 2}, Path("/state/labs/lab/lab.json"))


def test_a_damaged_file_is_told() -> None:
    """A key that is missing is an error of ours, with the way out."""
    record = json.loads(json.dumps(to_json(make_state())))
    del record["network"]

    with pytest.raises(InputError, match="damaged"):
        from_json(record, Path("/state/labs/lab/lab.json"))


@pytest.mark.parametrize(
    ("boot", "complete", "leftover"),
    [("now", True, False), ("now", False, True), ("before", True, True)],
)
def test_a_lab_of_another_boot_or_half_a_lab_is_left_over(
    monkeypatch: pytest.MonkeyPatch, boot: str, complete: bool, leftover: bool
) -> None:
    """A reboot of this computer and an interrupted `lab up` both leave something to clear away."""
    monkeypatch.setattr("clusterctl.lab.state.this_boot", lambda: "now")

    assert make_state(boot=boot, complete=complete).is_leftover is leftover


def test_one_command_at_a_time_works_on_a_lab(tmp_path: Path) -> None:
    """The second one is refused and told by whom; other labs are free; no file stays."""
    directory = Directory("lab", tmp_path)

    with directory.lock():
        with (
            pytest.raises(Refused, match=r"another command is at work on lab 'lab' \(process \d+\)"),
            directory.lock(),
        ):
            pass
        with Directory("other", tmp_path).lock():
            pass

    assert list(tmp_path.iterdir()) == []


def test_a_boot_has_a_name() -> None:
    """The name stays the same until the computer is rebooted."""
    assert this_boot() == this_boot()
