"""Background processes that outlive the command that started them, found again without a mistake.

A process is known by its id *and* the time it started, so a recycled id is never hit. The process writes its
own record before it does anything else: there is no moment in which it runs unrecorded. Standard library
only: the supervisors import this module, and they start without the package's dependencies.

``python -m clusterctl.lab.process RECORD COMMAND...`` records itself and becomes COMMAND.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine: its id, and when it started in clock ticks since boot."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Whether exactly this process still runs."""
        return find(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal to exactly this process; nothing happens when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # The descriptor pins the process: if the start time still agrees, the signal cannot go astray.
            if self.is_alive():
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)

    def wait_gone(self, seconds: float) -> bool:
        """Wait until the process is gone; False when it outlived ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


def find(pid: int) -> Process | None:
    """Return the living process with this id; a zombie counts as gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The program's name is in parentheses and may hold spaces and parentheses itself.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else Process(pid, int(fields[19]))


def me() -> Process:
    """Return this process."""
    own = find(os.getpid())
    if own is None:
        raise RuntimeError("/proc is not mounted")
    return own


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step, so that a reader sees the old or the new text."""
    text = json.dumps(record, indent=1)
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def read_record(path: Path) -> dict[str, Any]:
    """Return the record, or an empty one when there is none yet."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record


def recorded(path: Path) -> Process | None:
    """Return the living process that a record speaks of."""
    record = read_record(path)
    if "pid" not in record:
        return None
    process = Process(record["pid"], record["started"])
    return process if process.is_alive() else None


def stop_all(processes: Sequence[Process], patience: float) -> None:
    """Ask processes to end, all at once; kill those that do not within ``patience`` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL) if patience else (signal.SIGKILL,):
        for process in processes:
            process.send(number)
        deadline = time.monotonic() + (patience or 5)
        for process in processes:
            process.wait_gone(deadline - time.monotonic())


def detach(module: str, arguments: Sequence[str], log: Path, prefix: Sequence[str] = ()) -> None:
    """Run one of our modules in a session of its own, its output in ``log``; do not wait for it.

    ``-S`` leaves out site-packages, which a module that uses the standard library alone does not need: it
    starts in a third of the time.
    """
    command = ["setsid", "--fork", *prefix, sys.executable, "-S", "-m", module, *arguments]
    with log.open("ab") as output:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(_PACKAGE_ROOT)},
            check=True,
        )


def main(arguments: Sequence[str]) -> None:
    """Record this process, then become the command."""
    record, *command = arguments
    write_record(Path(record), {"pid": me().pid, "started": me().started})
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
