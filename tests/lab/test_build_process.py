"""Running the tools that build things."""

import os
import signal
import time
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed
from clusterctl.lab.build import process


def quiet() -> None:
    """Tell nothing."""


def test_a_tools_output_goes_to_the_log_with_what_was_run(tmp_path: Path) -> None:
    """The log tells what was run and what it said."""
    log = tmp_path / "log"

    process.run(["sh", "-c", "echo out; echo err >&2"], log=log, tick=quiet)

    assert log.read_text() == "$ sh -c echo out; echo err >&2\nout\nerr\n"


def test_standard_output_can_go_to_a_file(tmp_path: Path) -> None:
    """What a later step reads is kept apart from the log."""
    process.run(["sh", "-c", "echo out"], log=tmp_path / "log", tick=quiet, stdout=tmp_path / "out")

    assert (tmp_path / "out").read_text() == "out\n"


def test_a_failing_tool_is_quoted_and_its_log_named(tmp_path: Path) -> None:
    """The error has the last lines of this tool alone, and says where the rest is."""
    log = tmp_path / "log"
    log.write_text("from before\n")

    with pytest.raises(CommandFailed, match="sh ended with exit code 3") as error:
        process.run(["sh", "-c", "seq 1 40; exit 3"], log=log, tick=quiet)

    assert error.value.details.splitlines() == [str(number) for number in range(26, 41)]
    assert str(log) in error.value.resolution


def test_an_interrupt_ends_the_tool_and_its_children(tmp_path: Path) -> None:
    """Nothing goes on in the background after Ctrl-C."""
    pids = tmp_path / "pids"

    def interrupt() -> None:
        if pids.exists() and len(pids.read_text().split()) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run(["sh", "-c", f"sleep 60 & echo $! $$ > {pids}; wait"], log=tmp_path / "log", tick=interrupt)

    deadline = time.monotonic() + 5
    while any(alive(int(pid)) for pid in pids.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_a_group_that_has_ended_is_no_error(tmp_path: Path) -> None:
    """Ending twice is as good as ending once."""
    with (tmp_path / "log").open("wb") as said:
        started = process.start(["sleep", "60"], said)

    process.end_group(started)
    process.end_group(started)

    assert started.returncode == -signal.SIGTERM


def alive(pid: int) -> bool:
    """Return whether a process runs, zombies apart."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
