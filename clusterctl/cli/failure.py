"""How a call ends: its exit code, and on a failure what the operator reads on standard error."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click

from clusterctl.errors import ClusterctlError
from clusterctl.model.secret import redact

INTERRUPTED = 130
BROKEN_PIPE = 141  # What a shell reports of a program that SIGPIPE ended.


class NobodyReads(Exception):
    """Whoever read the output went away."""


@contextmanager
def pipe_watched() -> Iterator[None]:
    """Raise NobodyReads for a broken pipe, which click would turn into exit code 1: to us that means a bug."""
    try:
        yield
    except BrokenPipeError as error:
        raise NobodyReads from error


def ending(call: Callable[[], object]) -> NoReturn:
    """Run ``call`` and exit; every failure is told in plain words, and none shows a traceback.

    A SIGTERM is met as Ctrl-C is: what a service manager or a pipeline cuts short is cleaned up too.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    usual, threading.excepthook = threading.excepthook, _unexpected_in_thread
    try:
        code = exit_code(call)
    finally:
        threading.excepthook = usual
    if code == INTERRUPTED:
        # Threads may still wait for hosts, whose scripts go on without us; the interpreter would wait for them.
        leave_at_once(code)
    sys.exit(code)


def leave_at_once(code: int) -> None:
    """Leave without waiting for threads, when there are any."""
    if threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def exit_code(call: Callable[[], object]) -> int:
    """Run ``call``, tell its failure, and return the exit code."""
    try:
        result = call()
        sys.stdout.flush()
    except ClusterctlError as error:
        tell(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "Interrupted. Run the same command again when you like: it looks first and goes on from there.", err=True
        )
        return INTERRUPTED
    except (NobodyReads, BrokenPipeError):
        _mute()
        return BROKEN_PIPE
    except Exception as error:
        _unexpected(error)
        return 1
    return result if isinstance(result, int) else 0


def tell(error: ClusterctlError) -> None:
    """Write what failed, what the host said and what to do next on standard error."""
    from clusterctl.report.failure import each_error, folded, what

    for single, hosts in folded(list(each_error(error))):
        echo = _echo
        echo(click.style(what(single, hosts), fg="red", bold=True))
        for line in single.details.splitlines():
            echo(f"  {line}")
        if single.resolution:
            first, *rest = single.resolution.splitlines()
            echo(f"  {click.style('Next:', bold=True)} {first}")
            for line in rest:
                echo(f"        {line}")


def _echo(text: str) -> None:
    click.echo(redact(text), err=True, color=False if os.environ.get("NO_COLOR") else None)


def _unexpected_in_thread(failure: threading.ExceptHookArgs) -> None:
    if isinstance(failure.exc_value, Exception):
        _unexpected(failure.exc_value)


def _unexpected(error: Exception) -> None:
    try:
        where = f"The details are in {_write_traceback(error)}"
    except OSError as problem:
        where = f"The details could not be written: {problem}"
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    _echo(click.style(f"unexpected error: {summary}; this is a bug", fg="red", bold=True))
    _echo(f"  {where}")


def _write_traceback(error: Exception) -> Path:
    import tempfile
    import time
    import traceback

    import platformdirs

    folder = Path(platformdirs.user_state_dir("clusterctl")) / "errors"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), suffix=".txt", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:  # mkstemp gives mode 0600.
        file.write(redact("".join(traceback.format_exception(error))))
    return Path(name)


def _mute() -> None:
    """Nobody reads standard output any more; let the interpreter's last flush go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())
    os.close(null)
