"""What is asked all the time: every gap is told, with its length and its first error."""

import threading
import time
from collections.abc import Callable

from clusterctl.engine.availability import Watch
from clusterctl.engine.events import Event, Measured, Outage


def watched(answers: list[bool | OSError], *, pause: float = 0.0) -> list[Event]:
    """The events of a watch whose target gives these answers, and is left after the last one."""
    events: list[Event] = []
    over = threading.Event()
    left = list(answers)

    def ask() -> bool:
        time.sleep(pause)
        if not left:
            over.set()
            return False
        answer = left.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with Watch("web", ask, events.append, every=0.001):
        assert over.wait(10)
    return events


def test_a_target_that_always_answers() -> None:
    """Every request is counted, and no outage is told."""
    events = watched([True] * 5, pause=0.01)

    assert len(events) == 1
    assert isinstance(events[0], Measured)
    assert (events[0].target, events[0].asked, events[0].lost, events[0].outages) == ("web", 5, 0, 0)
    assert 0.01 <= events[0].slowest < 5
    assert events[0].down == events[0].longest == 0


def test_each_gap_is_told_when_it_ends() -> None:
    """It has the time from its first lost request to the next answer, and the first error."""
    refused, reset = ConnectionRefusedError(111, "Connection refused"), ConnectionResetError(104, "reset")
    before = time.time()

    first, second, measured = watched([True, refused, reset, True, TimeoutError("timed out"), True], pause=0.02)

    assert isinstance(first, Outage)
    assert isinstance(second, Outage)
    assert isinstance(measured, Measured)
    assert (first.target, first.lost, first.error) == ("web", 2, "Connection refused")
    assert (second.lost, second.error) == (1, "timed out")
    assert first.seconds >= 0.06  # Two requests that were lost, and the one that was answered.
    assert before < first.began < second.began < time.time()
    assert (measured.asked, measured.lost, measured.outages) == (6, 3, 2)
    assert measured.longest == max(first.seconds, second.seconds)
    assert measured.down == first.seconds + second.seconds


def test_a_gap_that_does_not_end_is_told_at_the_end() -> None:
    """A target that is still silent when the run is over."""
    outage, measured = watched([True, OSError(113, "No route to host")])

    assert isinstance(outage, Outage)
    assert isinstance(measured, Measured)
    assert (outage.lost, outage.error) == (1, "No route to host")
    assert measured.outages == 1


def test_what_could_not_be_asked_says_nothing() -> None:
    """When our own way is broken, it is neither an answer nor a loss."""
    events = watched([False, False])

    assert [type(event) for event in events] == [Measured]
    assert isinstance(events[0], Measured)
    assert (events[0].asked, events[0].lost) == (0, 0)


def test_leaving_ends_the_thread() -> None:
    """Nothing asks any more."""
    before: Callable[[], int] = threading.active_count
    count = before()

    watched([True])

    assert threading.active_count() == count
