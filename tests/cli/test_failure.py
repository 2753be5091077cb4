"""How calls end: exit codes, and what the operator reads."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from clusterctl import errors
from clusterctl.cli import cli
from clusterctl.errors import (
    ClusterctlError,
    CommandFailed,
    ConnectError,
    HostKeyError,
    InputError,
    KubernetesError,
    NotVerified,
    OutcomeUnknown,
    Refused,
    SeveralErrors,
)
from clusterctl.model.secret import Secret
from clusterctl.report.failure import folded
from tests.cli.conftest import Call

CODES = {
    ClusterctlError: 1,
    InputError: 2,
    Refused: 3,
    ConnectError: 4,
    HostKeyError: 4,
    OutcomeUnknown: 5,
    CommandFailed: 6,
    NotVerified: 7,
    KubernetesError: 8,
}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make ``clusterctl facts`` raise something."""

    def fail(error: BaseException) -> None:
        @click.command()
        def facts() -> None:
            """Fail."""
            raise error

        monkeypatch.setattr(cli, "get_command", lambda ctx, name: facts)

    return fail


def test_every_error_class_is_covered() -> None:
    """A new error needs an exit code here."""
    known = {*CODES, SeveralErrors}

    assert {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)} == known


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_is_told_in_three_parts(
    kind: type[ClusterctlError], call: Call, failing: Callable[[BaseException], None]
) -> None:
    """What failed, what the host said, what to do next; then the exit code of its class."""
    failing(kind("w1: os/swap-off failed", details="swapoff: /dev/sda2\nnot permitted", resolution="ssh w1"))

    result = call("facts")

    assert result.exit_code == CODES[kind]
    assert result.stdout == ""
    assert result.stderr == "w1: os/swap-off failed\n  swapoff: /dev/sda2\n  not permitted\n  Next: ssh w1\n"


@pytest.mark.parametrize("kind", [CommandFailed, ZeroDivisionError])
def test_a_revealed_secret_is_in_no_error(
    kind: type[Exception], call: Call, failing: Callable[[BaseException], None], tmp_path: Path
) -> None:
    """Whatever a host echoed: neither in the words nor in the file of a bug."""
    failing(kind(f"w1: sudo said: {Secret('hunter22').reveal()}"))

    result = call("facts")

    assert "sudo said: ***" in result.stderr
    assert "hunter22" not in result.output
    assert all("hunter22" not in path.read_text() for path in tmp_path.rglob("*.txt"))


def test_several_errors_are_all_told(call: Call, failing: Callable[[BaseException], None]) -> None:
    """The worst one gives the exit code."""
    failing(SeveralErrors([ConnectError("w1: no answer"), SeveralErrors([OutcomeUnknown("w2: lost")])]))

    result = call("facts")

    assert result.exit_code == 5
    assert result.stderr == "w1: no answer\nw2: lost\n"


def silent(number: int) -> ConnectError:
    """What a host that is switched off leads to."""
    return ConnectError(
        f"w{number}: 10.0.0.{number}:22 does not answer within 10 s",
        resolution=f"check w{number}: ping 10.0.0.{number}",
    )


def test_what_many_hosts_have_in_common_is_told_once(call: Call, failing: Callable[[BaseException], None]) -> None:
    """Fifty hosts that are off are one line with their names and one next step; another problem has its own."""
    failing(SeveralErrors([*(silent(number) for number in range(1, 51)), ConnectError("w99: rejects the key")]))

    result = call("facts")

    names = " ".join(f"w{number}" for number in range(1, 51))
    assert result.exit_code == 4
    assert result.stderr.splitlines() == [
        f"{names}: 10.0.0.1:22 does not answer within 10 s (so it says of w1, and alike of the others)",
        "  Next: check w1: ping 10.0.0.1",
        "w99: rejects the key",
    ]


@pytest.mark.parametrize(
    ("one", "two", "count"),
    [
        (ConnectError("w1: no key"), ConnectError("w2: no key"), 1),
        (ConnectError("w1: no route to fd00::1"), ConnectError("w2: no route to fd00::22:1"), 1),
        (
            ConnectError("w1: the name w1.example cannot be resolved"),
            ConnectError("w2: the name w2.example cannot be resolved"),
            1,
        ),
        (ConnectError("w1: no key"), CommandFailed("w2: no key"), 2),
        (CommandFailed("w1: failed", details="disk full"), CommandFailed("w2: failed", details="no lock"), 2),
        (ConnectError("w1: its key is SHA256:a"), ConnectError("w2: its key is SHA256:b"), 2),
        (InputError("there is no key"), InputError("there is no key"), 2),
    ],
)
def test_only_the_same_of_several_hosts_is_folded(one: ClusterctlError, two: ClusterctlError, count: int) -> None:
    """Names and addresses may differ; kinds, details and everything else may not."""
    assert len(folded([one, two])) == count


def test_an_interrupt_says_what_is_safe(call: Call, failing: Callable[[BaseException], None]) -> None:
    """One line, and 130."""
    failing(KeyboardInterrupt())

    result = call("facts")

    assert result.exit_code == 130
    assert result.stderr.strip() == (
        "Interrupted. Run the same command again when you like: it looks first and goes on from there."
    )


def test_a_bug_is_told_without_a_traceback(
    call: Call, failing: Callable[[BaseException], None], tmp_path: Path
) -> None:
    """The traceback goes to a file of mode 0600, whose path is told."""
    failing(ZeroDivisionError("division\nby zero"))

    result = call("facts")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "unexpected error: ZeroDivisionError: division by zero; this is a bug"
    assert "Traceback" not in result.output
    match = re.search(r"The details are in (\S+)", result.stderr)
    assert match
    written = Path(match[1])
    assert tmp_path in written.parents
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "Traceback" in written.read_text()


def test_a_bug_is_told_when_its_traceback_cannot_be_written(
    call: Call, failing: Callable[[BaseException], None], tmp_path: Path
) -> None:
    """A state directory that is a file does not hide the message."""
    (tmp_path / "state").write_text("")
    failing(ZeroDivisionError("division by zero"))

    result = call("facts")

    assert result.exit_code == 1
    assert "this is a bug" in result.stderr
    assert "could not be written" in result.stderr


def test_colour_is_for_terminals_only(
    call: Call, failing: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal gets colour, NO_COLOR takes it away."""
    failing(Refused("no"))

    coloured = call("facts", color=True).stderr
    monkeypatch.setenv("NO_COLOR", "1")
    plain = call("facts", color=True).stderr

    assert "\x1b[" in coloured
    assert plain == "no\n"


def test_an_interrupt_does_not_wait_for_threads() -> None:
    """A host that is waited for goes on without us."""
    code = (
        "import threading, time\n"
        "from clusterctl.cli.failure import ending\n"
        "def call():\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    raise KeyboardInterrupt\n"
        "ending(call)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 130
    assert done.stderr.startswith("Interrupted. ")
    assert len(done.stderr.splitlines()) == 1


def test_a_termination_is_an_interrupt() -> None:
    """SIGTERM lets what is under way be cleaned up, and ends as Ctrl-C does."""
    code = (
        "import os, signal, time\n"
        "from clusterctl.cli.failure import ending\n"
        "def call():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(30)\n"
        "    finally:\n"
        "        print('cleaned up')\n"
        "ending(call)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stdout) == (130, "cleaned up\n")
    assert done.stderr.startswith("Interrupted. ")


def test_a_bug_in_a_thread_shows_no_traceback(tmp_path: Path) -> None:
    """It is told like any other, and the call goes on."""
    code = (
        "import threading\n"
        "from clusterctl.cli.failure import ending\n"
        "def call():\n"
        "    thread = threading.Thread(target=lambda: 1 / 0)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "ending(call)\n"
    )
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)

    assert done.returncode == 0
    assert done.stderr.startswith("unexpected error: ZeroDivisionError: division by zero; this is a bug\n")
    assert "Traceback" not in done.stderr


def test_a_broken_pipe_ends_quietly() -> None:
    """`clusterctl --help | head -0` says nothing on standard error."""
    code = (
        "import sys\nfrom clusterctl.cli import main\nsys.stdin.read()\nsys.argv = ['clusterctl', '--help']\nmain()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr

    with process:
        process.stdout.close()
        process.stdin.close()
        said = process.stderr.read()

    assert said == b""
    assert process.returncode == 141
