"""Real machines for tests: ask for a shape, get a lab."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from clusterctl.lab.host import unsuitable
from clusterctl.lab.lab import Lab, find
from clusterctl.lab.making import up
from clusterctl.lab.progress import Report, Told, Working
from clusterctl.lab.shape import Shape
from clusterctl.lab.state import Directory


class LabFactory(Protocol):
    """Ask for a shape, get a running lab; the same name leads to the same lab for the whole file."""

    def __call__(
        self, *, control_planes: int = 1, workers: int = 2, name: str = "e2e", kubernetes: str | None = None
    ) -> Lab:
        """Start the lab, or let it grow to this shape."""


LONGEST = Path(__file__).with_name("test_upgrade.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs machines where there can be none, and say why; begin with the file that takes longest.

    Two files run side by side: the longest one as the last would run alone in the end.
    """
    items.sort(key=lambda item: item.path != LONGEST)
    error = unsuitable()
    if error is not None:
        for item in items:
            if item.get_closest_marker("e2e"):
                item.add_marker(pytest.mark.skip(reason=f"no lab here: {error.what}"))


@pytest.fixture(scope="session")
def telling(pytestconfig: pytest.Config) -> Callable[[], Report]:
    """Write what a lab does to the terminal, one plain line for each new thing: a cold build takes a while."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def make() -> Report:
        last = ""

        def report(event: Working | Told) -> None:
            nonlocal last
            text = event.text if isinstance(event, Told) else event.what
            if text == last or terminal is None:
                return
            last = text
            with capture.global_and_fixture_disabled():
                terminal.write_line(f"lab: {text}")

        return report

    return make


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Write a line beside what is captured, from a worker as well: figures are for people."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", file=sys.stderr, flush=True)  # noqa: T201

    return line


@pytest.fixture(scope="module")
def lab(telling: Callable[[], Report]) -> Iterator[LabFactory]:
    """Labs of any shape; they are gone at the end of the file: a cluster that idles slows down those that follow."""
    started: dict[str, Lab] = {}

    def ask(*, control_planes: int = 1, workers: int = 2, name: str = "e2e", kubernetes: str | None = None) -> Lab:
        # Each worker of pytest-xdist is a session of its own, with labs of its own.
        name += os.environ.get("PYTEST_XDIST_WORKER", "")
        if name not in started and Directory(name).load() is not None:
            find(name).down(telling())  # A run that was killed left it; nobody knows what is on it.
        shape = Shape(name=name, control_planes=control_planes, workers=workers, kubernetes=kubernetes)
        started[name] = up(shape, telling())
        return started[name]

    try:
        yield ask
    finally:
        for each in started.values():
            if each.directory.load() is not None:
                each.down()
