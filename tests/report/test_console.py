"""The console: plain lines, the live block, and the summary."""

import io
import threading
from collections.abc import Iterator, Sequence

import click
import pytest
from rich.console import Console

from clusterctl.engine.events import (
    Event,
    Interrupted,
    Measured,
    Outage,
    PlayStarted,
    RunFinished,
    RunStarted,
    StepChanged,
    StepFailed,
    StepSatisfied,
    StepStarted,
    Waiting,
)
from clusterctl.errors import CommandFailed, Refused
from clusterctl.model.secret import Secret
from clusterctl.report.console import Live, Plain, console, line
from tests.report.golden import compare

HOSTS = ("cp1", "worker-1")
AGAIN = "clusterctl -i prod.yaml bootstrap"
Timed = Sequence[tuple[float, Event]]

GOOD: Timed = (
    (0.0, RunStarted("bootstrap", HOSTS, 5)),
    (0.0, PlayStarted("Prepare the hosts", HOSTS)),
    (0.1, StepSatisfied("cp1", "os/swap-off", "no swap is on")),
    (0.1, StepStarted("worker-1", "os/swap-off", "Turn swap off", "swap is on: /swapfile")),
    (0.5, StepChanged("worker-1", "os/swap-off", "no swap is on, now and at boot", 0.4)),
    (0.6, StepStarted("cp1", "packages/kubernetes", "Install kubeadm", "kubeadm is not installed")),
    (0.6, StepStarted("worker-1", "packages/kubernetes", "Install kubeadm", "kubeadm is not installed")),
    (2.6, Waiting("worker-1", "", "os/swap-off of an earlier run is still running", 1.0)),
    (30.6, StepChanged("cp1", "packages/kubernetes", "kubeadm 1.36.3-1.1", 30.0)),
    (62.0, StepChanged("worker-1", "packages/kubernetes", "kubeadm 1.36.3-1.1", 61.4)),
    (62.0, PlayStarted("Start the control plane", ("cp1",))),
    (62.1, StepStarted("cp1", "control-plane/init", "Start the first control plane", "there is no cluster yet")),
    (63.1, Waiting("cp1", "control-plane/init", "the API server does not answer", 1.0)),
    (72.3, Waiting("cp1", "control-plane/init", "the API server does not answer", 10.2)),
    (73.3, Waiting("cp1", "control-plane/init", "the API server does not answer", 11.2)),
    (75.0, Waiting("cp1", "control-plane/init", "deployment/coredns is missing", 12.9)),
    (75.5, Waiting("cp1", "control-plane/init", "the connection broke", 13.4)),
    (90.0, StepChanged("cp1", "control-plane/init", "the API server answers, version 1.36.3", 27.9)),
    (90.0, RunFinished("bootstrap", 4, 1, 0, (), 90.0)),
)

BAD: Timed = (
    *GOOD[:5],
    (
        9.0,
        StepFailed(
            "worker-1",
            "packages/kubernetes",
            CommandFailed(
                "worker-1: packages/kubernetes failed with exit status 100",
                details="E: no such package",
                resolution="x",
            ),
            8.5,
        ),
    ),
    (9.1, Interrupted()),
    (
        9.2,
        RunFinished(
            "bootstrap",
            1,
            1,
            1,
            (
                ("cp1", "packages/kubernetes"),
                ("worker-1", "packages/kubernetes"),
                ("cp1", "control-plane/init"),
                ("worker-1", "workers/join"),
                ("worker-1", "nodes/labels"),
                ("worker-1", "nodes/ready"),
            ),
            9.2,
        ),
    ),
)


def plain(events: Timed, *, verbose: bool = False) -> str:
    """What the plain console writes for events at their times."""
    stream = io.StringIO()
    times: Iterator[float] = iter([100.0 + at for at, _ in events])
    show = Plain(stream, AGAIN, verbose=verbose, now=lambda: next(times))
    for _, event in events:
        show(event)
    return stream.getvalue()


def printed(live: Live) -> list[str]:
    """The lines of the block, 100 columns wide."""
    stream = io.StringIO()
    Console(file=stream, width=100).print(live._block())
    return stream.getvalue().splitlines()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def test_a_run_in_plain_lines() -> None:
    """One line per change; waiting is told now and then; a summary at the end."""
    compare("console-good.txt", plain(GOOD))


def test_a_failed_run_in_plain_lines() -> None:
    """The failure, what each host lacks, and how to go on."""
    compare("console-bad.txt", plain(BAD))


def test_satisfied_steps_are_shown_when_asked() -> None:
    """Verbose names them."""
    assert "os/swap-off  satisfied: no swap is on" not in plain(GOOD)
    assert "    0.1s  cp1       os/swap-off  satisfied: no swap is on\n" in plain(GOOD, verbose=True)


def test_waiting_is_told_every_ten_seconds_per_host() -> None:
    """Each host has its own patience."""
    events: list[tuple[float, Event]] = [(0.0, RunStarted("bootstrap", HOSTS, 2))]
    events += [(at, Waiting(host, "a/b", "not yet", at)) for at in map(float, range(25)) for host in HOSTS]

    told = [line.split()[:2] for line in plain(events).splitlines() if "waiting" in line]

    assert told == [[at, host] for at in ("0.0s", "10.0s", "20.0s") for host in HOSTS]


def test_a_reader_that_left_does_not_stop_the_run() -> None:
    """`clusterctl bootstrap | head`: the hosts come first."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    show = Plain(Gone(), AGAIN)

    for _, event in GOOD:
        show(event)


def test_the_console_suits_its_stream() -> None:
    """Plain lines unless it is a terminal."""
    with console(AGAIN, stream=io.StringIO()) as show:
        assert isinstance(show, Plain)
    with console(AGAIN, stream=Terminal()) as show:
        assert isinstance(show, Live)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 100 columns without colours."""
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "24", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return Terminal()


@pytest.mark.parametrize("events", [GOOD, BAD], ids=["good", "bad"])
def test_the_live_console_shows_changes_and_the_summary(events: Timed, terminal: Terminal) -> None:
    """What scrolls by is what happened; the block is gone at the end."""
    with console(AGAIN, stream=terminal) as show:
        for _, event in events:
            show(event)

    shown = click.unstyle(terminal.getvalue())
    for _, event in events:
        if isinstance(event, StepChanged):
            assert f"{event.host}  {event.step}  changed: {event.note}" in shown
    assert f"bootstrap: {'stopped' if events is BAD else 'done'} after" in shown


def test_the_live_block_shows_who_does_what(terminal: Terminal) -> None:
    """Each busy host with its step and what it waits for; the others in one line; the progress."""
    with Live(terminal, AGAIN) as live:
        for _, event in GOOD[:7]:
            live(event)
        live(Waiting("worker-1", "packages/kubernetes", "apt holds a lock", 3.0))
        live(StepChanged("cp1", "packages/kubernetes", "kubeadm 1.36.3-1.1", 30.0))
        block = printed(live)

    assert block[0].split()[:2] == ["worker-1", "packages/kubernetes"]
    assert "apt holds a lock" in block[0]
    assert block[1].strip() == "no step in hand: cp1"
    assert block[2].startswith("bootstrap: 3 of 5 steps done, ")


def test_a_revealed_secret_is_shown_nowhere(terminal: Terminal) -> None:
    """Neither in plain lines nor in the live display nor in the summary of either."""
    secret = Secret("hunter22").reveal()
    error = CommandFailed(f"w1: a/b: the password {secret} was echoed", details=secret, resolution=secret)
    events: Timed = (
        (0.0, RunStarted("bootstrap", ("w1",), 1)),
        (0.1, StepStarted("w1", "a/b", "Do it", secret)),
        (0.2, Waiting("w1", "a/b", f"waiting for {secret}", 0.1)),
        (0.3, StepFailed("w1", "a/b", error, 0.2)),
        (0.4, RunFinished("bootstrap", 0, 0, 1, (("w1", "a/b"),), 0.4)),
    )

    with Live(terminal, AGAIN) as live:
        for _, event in events[:3]:
            live(event)
        block = printed(live)
        for _, event in events[3:]:
            live(event)

    assert "waiting for ***" in block[0]
    for shown in (plain(events), terminal.getvalue()):
        assert secret not in shown
        assert "***" in shown


def test_the_live_block_fits_the_terminal(terminal: Terminal) -> None:
    """A hundred busy hosts: as many as there is room for, and a count."""
    hosts = tuple(f"w{number}" for number in range(100))
    with Live(terminal, AGAIN) as live:
        live(RunStarted("bootstrap", hosts, 100))
        for host in hosts:
            live(StepStarted(host, "os/sysctl", "Set sysctls", "net.ipv4.ip_forward is 0"))
        block = printed(live)

    assert len(block) < 24
    assert "… and 81 more busy hosts" in block


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_events_may_come_from_many_threads(
    stream: type[io.StringIO], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is lost, and nobody waits for ever."""
    out = stream()
    hosts = tuple(f"w{number}" for number in range(16))

    def walk(host: str) -> None:
        for number in range(50):
            show(StepStarted(host, f"a/{number}", "Do it", "it is not done"))
            show(StepChanged(host, f"a/{number}", "done", 0.0))

    with console(AGAIN, stream=out) as show:
        show(RunStarted("bootstrap", hosts, 800))
        threads = [threading.Thread(target=walk, args=(host,)) for host in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        show(RunFinished("bootstrap", 800, 0, 0, (), 1.0))

    assert click.unstyle(out.getvalue()).count("changed: done") == 800


def test_what_a_line_shows_already_is_not_repeated() -> None:
    """The host's and the step's name stand at the line's beginning."""
    error = Refused("cp1: os/swap-off: a person has to look")

    shown = plain([(0.0, RunStarted("b", ("cp1",), 1)), (0.0, StepFailed("cp1", "os/swap-off", error, 0.0))])

    assert shown.splitlines()[1] == "    0.0s  cp1  os/swap-off  failed: a person has to look"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            Outage("svc/web/web", 1_700_000_000.0, 0.834, 3, "Connection refused"),
            "svc/web/web: no answer for 0.83 s, 3 requests lost: Connection refused",
        ),
        (
            Measured("svc/web/web", 2310, 0, 0, 0.0, 0.0, 0.412, 512.0),
            "svc/web/web: 2310 requests in 8 min 32 s, none lost; slowest answer 0.41 s",
        ),
        (
            Measured("svc/web/web", 2310, 3, 1, 0.834, 0.834, 12.0, 512.0),
            "svc/web/web: 2310 requests in 8 min 32 s, 3 lost: 0.83 s in 1 gap; slowest answer 12 s",
        ),
        (
            Measured("svc/web/web", 2310, 5, 2, 1.5, 1.2, 0.4, 512.0),
            "svc/web/web: 2310 requests in 8 min 32 s, 5 lost: 1.50 s in 2 gaps, the longest 1.20 s; slowest answer "
            "0.40 s",
        ),
        (
            Measured("svc/web/web", 0, 0, 0, 0.0, 0.0, 0.0, 5.0),
            "svc/web/web: not measured: no host was there to ask through",
        ),
    ],
)
def test_what_was_measured(event: Event, text: str) -> None:
    """Every gap and every sum, in words; after the summary as well."""
    assert line(event) == text
    assert text in plain((*GOOD, (91.0, event)))
