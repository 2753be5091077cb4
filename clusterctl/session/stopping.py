"""What Ctrl-C and SIGTERM mean while a run goes on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterctl.engine.runner import Runner


@contextmanager
def stop_cleanly(runner: "Runner") -> Iterator[None]:
    """Let Ctrl-C or SIGTERM stop the run as the runner says, and leave at once when it has been asked enough."""

    def interrupt(signal_number: int, frame: FrameType | None) -> None:
        if not runner.stop():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # Signals are the business of the program's own thread.
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
