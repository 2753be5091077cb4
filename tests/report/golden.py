"""Goldens of reports: ``make golden``, or ``GOLDEN=write``, writes them anew."""

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    """Compare ``text`` with the golden ``name``."""
    path = _FOLDER / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
