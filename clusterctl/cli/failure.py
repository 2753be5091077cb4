"""How a call ends: its exit code, and on a failure what the operator reads on standard error."""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click

from clusterctl.errors import ClusterctlError, SeveralErrors
from clusterctl.model.secret import redact

INTERRUPTED = 130
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
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
    for single, hosts in folded(list(_each(error))):
        echo = _echo
        echo(click.style(_what(single, hosts), fg="red", bold=True))
        for line in single.details.splitlines():
            echo(f"  {line}")
        if single.resolution:
            first, *rest = single.resolution.splitlines()
            echo(f"  {click.style('Next:', bold=True)} {first}")
            for line in rest:
                echo(f"        {line}")


def _each(error: ClusterctlError) -> Iterator[ClusterctlError]:
    if isinstance(error, SeveralErrors):
        for child in error.errors:
            yield from _each(child)
    else:
        yield error


def folded(errors: Sequence[ClusterctlError]) -> list[tuple[ClusterctlError, tuple[str, ...]]]:
    """Errors that say the same of several hosts as one: the first of them, and the names of all these hosts.

    They are the same when nothing but the host's name and addresses differs. Others come alone, without names.
    """
    alike: dict[tuple[object, ...], list[ClusterctlError]] = {}
    for error in errors:
        host = _host(error)
        texts = (error.what, error.details, error.resolution)
        key = (type(error), *(_without(host, text) for text in texts)) if host else (id(error),)
        alike.setdefault(key, []).append(error)
    return [(several[0], tuple(map(_host, several)) if len(several) > 1 else ()) for several in alike.values()]


def _host(error: ClusterctlError) -> str:
    """The host that an error is about: ``w1: …``."""
    name, colon, _ = error.what.partition(": ")
    return name if colon and " " not in name else ""


def _without(host: str, text: str) -> str:
    """A text with placeholders for the host's name and for addresses."""
    return _ADDRESS.sub("ADDRESS", re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "HOST", text))


def _what(error: ClusterctlError, hosts: Sequence[str]) -> str:
    if not hosts:
        return error.what
    said = error.what.partition(": ")[2]
    own = any(_ADDRESS.search(text) or hosts[0] in text for text in (said, error.details, error.resolution))
    return f"{' '.join(hosts)}: {said}" + (f" (so it says of {hosts[0]}, and alike of the others)" if own else "")


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
