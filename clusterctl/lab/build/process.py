"""Run the tools that build things: watched, logged, and never left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from clusterctl.errors import CommandFailed

QUOTED_LINES = 15
"""How many last lines of a failed tool's output its error quotes."""

_LOOK_EVERY = 0.2
_GRACE = 5.0


def run(
    argv: Sequence[str],
    *,
    log: Path,
    tick: Callable[[], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: Path | None = None,
) -> None:
    """Run a tool in a process group of its own, its output appended to ``log``, and wait for it.

    ``tick`` is called several times a second. ``stdout`` receives the standard output instead of the log.
    When the tool fails, CommandFailed quotes what it said last. When this process is interrupted, the
    tool's whole group ends first; when it is killed, the kernel ends the tool (``setpriv --pdeathsig``).
    """
    with log.open("ab") as said:
        said.write(("$ " + " ".join(argv) + "\n").encode())
        said.flush()
        begins = said.tell()
        out: BinaryIO = said if stdout is None else stdout.open("wb")
        try:
            process = start(argv, said, out, cwd, env)
            try:
                while process.poll() is None:
                    tick()
                    _wait_a_little(process)
            except BaseException:
                end_group(process)
                raise
        finally:
            if stdout is not None:
                out.close()
    if process.returncode != 0:
        raise CommandFailed(
            f"{argv[0]} ended with exit code {process.returncode} while the lab was being built",
            details=last_lines(log, begins),
            resolution=f"read {log}; then run the same command again: what is built already is kept",
        )


def start(
    argv: Sequence[str],
    said: BinaryIO,
    out: BinaryIO | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a tool in a process group of its own, to be ended with ``end_group``; it dies with this process."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *argv],
        stdin=subprocess.DEVNULL,
        stdout=said if out is None else out,
        stderr=said,
        cwd=cwd,
        env=None if env is None else {**os.environ, **env},
        start_new_session=True,
    )


def last_lines(log: Path, start: int = 0, count: int = QUOTED_LINES) -> str:
    """The last ``count`` lines of a log from byte ``start`` on."""
    with log.open("rb") as said:
        said.seek(start)
        lines = said.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-count:])


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group: asked first, killed when it takes too long."""
    for number, grace in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + grace
        while process.poll() is None and time.monotonic() < deadline:
            _wait_a_little(process)
        if process.returncode is not None:
            break
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_a_little(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_LOOK_EVERY)
    except subprocess.TimeoutExpired:
        return
