"""Progress of what is usually quick."""

import io
import threading

from clusterctl.model.words import count
from clusterctl.report.progress import Progress
from clusterctl.report.words import duration, names


class Noticed(io.StringIO):
    """A stream that tells when something was written."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.written = threading.Event()
        self._terminal = terminal

    def isatty(self) -> bool:
        """As it was made."""
        return self._terminal

    def write(self, text: str) -> int:
        """Write and tell."""
        length = super().write(text)
        self.written.set()
        return length


def test_what_is_quick_says_nothing() -> None:
    """Two seconds are over before a word."""
    stream = Noticed(terminal=True)

    with Progress("connecting to", ["cp1"], stream=stream):
        pass

    assert stream.getvalue() == ""


def test_what_takes_long_is_told() -> None:
    """Elsewhere than on a terminal it is a line."""
    stream = Noticed(terminal=False)

    with Progress("connecting to", ["cp1", "w1"], stream=stream, silent=0.01):
        assert stream.written.wait(5)

    assert stream.getvalue().startswith("connecting to cp1 w1 … ")
    assert stream.getvalue().endswith(" s\n")


def test_progress_says_whom_it_waits_for() -> None:
    """Hosts that are done are not named; a reason is."""
    progress = Progress("reading the facts of", ["cp1", "w1"])

    progress.done("cp1")
    progress.say("w1", "os/swap-off of an earlier run is still running")

    assert progress.line() == "reading the facts of w1 (w1: os/swap-off of an earlier run is still running)"


def test_the_line_on_a_terminal_is_wiped() -> None:
    """Nothing of it is left for what comes next."""
    stream = Noticed(terminal=True)

    with Progress("verifying", stream=stream, silent=0.01) as progress:
        progress.now("nodes: waiting")
        assert stream.written.wait(5)

    assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[2K")


def test_durations() -> None:
    """Short ones with a tenth, long ones in minutes and hours."""
    assert [duration(seconds) for seconds in (0.04, 9.94, 10.4, 59.4, 65, 3599, 3725)] == [
        "0.0 s",
        "9.9 s",
        "10 s",
        "59 s",
        "1 min 05 s",
        "59 min 59 s",
        "1 h 02 min",
    ]


def test_counts_and_names() -> None:
    """One host, two hosts; long lists lose their middle."""
    assert [count(number, "host") for number in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]
    assert names(["a", "b"]) == "a b"
    assert names([f"w{number}" for number in range(1, 10)]) == "w1 w2 w3 … w9 (9 hosts)"
