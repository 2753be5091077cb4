"""Processes are found again, and never mistaken for others."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from clusterctl.lab.process import Process, detach, find, me, read_record, recorded, stop_all, write_record


def test_a_recycled_id_is_another_process() -> None:
    """The same id with another start time is not the process that was recorded, and gets no signal."""
    other = Process(os.getpid(), me().started - 1)

    other.send(signal.SIGKILL)

    assert not other.is_alive()
    assert me().is_alive()


def test_an_id_that_nobody_has_is_no_process() -> None:
    """Looking for it and signalling it do nothing."""
    assert find(2**22 + 1) is None
    Process(2**22 + 1, 1).send(signal.SIGTERM)


def test_a_record_is_read_back(tmp_path: Path) -> None:
    """A record of this process leads to this process; without a record there is none."""
    file = tmp_path / "process.json"
    assert recorded(file) is None

    write_record(file, {"pid": me().pid, "started": me().started})

    assert recorded(file) == me()


def test_half_a_record_is_no_record(tmp_path: Path) -> None:
    """A file cut off by a crash leads to nobody."""
    file = tmp_path / "process.json"
    file.write_text('{"pid": 1')

    assert read_record(file) == {}


def test_a_stubborn_process_is_killed() -> None:
    """Who ignores the request is killed after the patience is over."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = find(child.pid)
        assert process is not None

        stop_all([process], patience=0.05)

        assert child.wait() == -signal.SIGKILL


def test_a_detached_process_records_itself(tmp_path: Path) -> None:
    """It becomes the command, in a session of its own, and is found by its record."""
    record = tmp_path / "process.json"

    detach("clusterctl.lab.process", [str(record), "sleep", "60"], tmp_path / "log")

    deadline = time.monotonic() + 10
    while (process := recorded(record)) is None:
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.01)
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        stop_all([process], patience=1)
    assert recorded(record) is None
