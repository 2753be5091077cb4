"""A run of clusterctl in the background, which a test watches and disturbs."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusterctl.lab.lab import Lab
from tests.e2e.test_bootstrap import command


@dataclass
class Running:
    """A run in the background, with what it says and its events."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    @property
    def said(self) -> str:
        """Everything that it wrote so far."""
        return self.output.read_text()

    @property
    def events(self) -> list[dict[str, object]]:
        """Everything that happened so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def has(self, event: str, **values: object) -> bool:
        """Whether this has happened."""
        return any(
            each["event"] == event and all(each[key] == value for key, value in values.items()) for each in self.events
        )

    def until(self, true: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until something is so, while the run goes on; one that comes too late is ended."""
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.said
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(self.said)
            time.sleep(0.1)

    def end(self, seconds: float = 420) -> int:
        """Wait for its end, and return its exit code; one that comes too late is ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.said) from None


def start(lab: Lab, folder: Path, *words: str) -> Running:
    """Start a command; ``folder`` takes what it says and its events."""
    output, log = folder / "output", folder / "events"
    with output.open("wb") as out:
        process = subprocess.Popen(command(lab, *words, "--log", str(log)), stdout=out, stderr=out)
    return Running(process, output, log)
