"""The process beside every machine: boots it, boots it again after a reboot, clears up behind it.

``python -m clusterctl.lab.supervise DIRECTORY`` reads ``DIRECTORY/machine.json`` (see machine.py) and keeps
``DIRECTORY/supervisor.json`` up to date. SIGTERM is a power cut: the machine is killed and cleared away.
Standard library only.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from clusterctl.lab import cgroups, network, process

REBOOT = 133  # What systemd-nspawn --keep-unit exits with when the machine asked to be started again.


class Supervisor:
    """One machine, from its first boot to its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.machine: dict[str, Any] = json.loads((directory / "machine.json").read_text())
        self.groups = cgroups.of_this_process(self.machine["id"], delegated=self.machine["delegated"])
        self.child = 0
        self.boots = 0
        self.stopping = False

    def run(self) -> int:
        """Boot the machine until it powers off or is stopped; return this process's exit code."""
        signal.signal(signal.SIGTERM, self._stop)
        self._record("starting")
        code = REBOOT
        while code == REBOOT and not self.stopping:
            try:
                code = self._boot()
            except (OSError, subprocess.CalledProcessError) as error:
                code = 1
                say(f"cannot boot the machine: {getattr(error, 'stderr', None) or error}")
            say(f"the machine ended with code {code}")
            self._clear()
        self._record("off", code=code)
        return 0 if self.stopping or code == 0 else 1

    def _boot(self) -> int:
        self._clear()
        network.plug(self.machine["network"])
        cgroups.create(self.groups)
        self.boots += 1
        say(f"boot {self.boots}")
        # The signal must not fall between the fork and the moment the child is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if not self.stopping:
            self.child = os.fork()
            if self.child == 0:
                self._become_machine()
            self._record("running")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        if self.child == 0:
            return 0
        # Its id is not given to another process before it is reaped, and by then nobody signals it any more.
        os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOWAIT)
        child, self.child = self.child, 0
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def _become_machine(self) -> None:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            console = os.open(self.directory / "console.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(console, 1)
            os.dup2(console, 2)
            cgroups.enter(self.groups.machine)
            command = self.machine["command"]
            os.execvpe(command[0], command, {**os.environ, **self.machine["environment"]})  # noqa: S606
        except OSError as error:
            os.write(2, f"cannot start the machine: {error}\n".encode())
        os._exit(1)

    def _clear(self) -> None:
        if not cgroups.clear(self.groups.machine):
            say("some control groups would not go")
        network.unplug(self.machine["network"])

    def _stop(self, _number: int, _frame: object) -> None:
        self.stopping = True
        if self.child:
            # The machine itself outlives that; clearing its control groups is what kills it.
            os.kill(self.child, signal.SIGKILL)

    def _record(self, state: str, code: int | None = None) -> None:
        own = process.me()
        child = process.find(self.child) if self.child else None
        record = {
            "pid": own.pid,
            "started": own.started,
            "state": state,
            "code": code,
            "boots": self.boots,
            "machine": {"pid": child.pid, "started": child.started} if child else None,
            "groups": [str(group) for group in (*self.groups.machine, *self.groups.above)],
        }
        process.write_record(self.directory / "supervisor.json", record)


def say(text: str) -> None:
    """Write a line to the log."""
    os.write(1, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode())


def main(directory: str) -> int:
    """Supervise the machine in ``directory``."""
    return Supervisor(Path(directory)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
