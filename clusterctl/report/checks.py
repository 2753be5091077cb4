"""What ``verify`` found, as an operator reads it, and as JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from clusterctl.report.style import styled
from clusterctl.report.words import duration


class Check(Protocol):
    """One thing that was looked at."""

    @property
    def name(self) -> str:
        """What was looked at."""

    @property
    def ok(self) -> bool:
        """Whether it is so."""

    @property
    def detail(self) -> str:
        """What was seen; several problems have a line each."""

    @property
    def seconds(self) -> float:
        """How long it took to become so."""

    @property
    def measured(self) -> Mapping[str, float]:
        """The numbers behind ``detail``."""


class Checks(Protocol):
    """Everything that was looked at."""

    @property
    def checks(self) -> Sequence[Check]:
        """In order."""

    @property
    def ok(self) -> bool:
        """Whether all of it is so."""


def checks_text(result: Checks) -> str:
    """A line for each check, further problems below it."""
    width = max((len(check.name) for check in result.checks), default=0)
    lines = []
    for check in result.checks:
        word = styled("ok    ", fg="green") if check.ok else styled("FAILED", fg="red", bold=True)
        first, *more = check.detail.splitlines() or [""]
        lines.append(f"{word}  {check.name:<{width}}  {first} ({duration(check.seconds)})")
        lines += [f"{'':{width + 10}}{line}" for line in more]
    return "\n".join(lines)


def checks_json(result: Checks) -> dict[str, Any]:
    """The checks as JSON values."""
    return {
        "ok": result.ok,
        "checks": [
            {
                "name": check.name,
                "ok": check.ok,
                "detail": check.detail,
                "seconds": round(check.seconds, 3),
                "measured": dict(check.measured),
            }
            for check in result.checks
        ],
    }
