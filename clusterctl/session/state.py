"""What clusterctl keeps of earlier calls, in the user's state directory."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from clusterctl.errors import InputError
from clusterctl.report.estimate import durations_text, read_durations
from clusterctl.report.record import Record

_DURATIONS = "durations.json"


def state_folder(*names: str) -> Path:
    """A folder below clusterctl's own in the user's state directory, for its owner alone. Raises InputError."""
    import platformdirs

    folder = Path(platformdirs.user_state_dir("clusterctl")).joinpath(*names)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {folder}: {error.strerror}",
            resolution="clusterctl writes there what it did; name a directory that you may write in $XDG_STATE_HOME",
        ) from error
    return folder


def known_durations() -> Mapping[str, list[float]]:
    """How many seconds each step took in earlier runs."""
    return read_durations(state_folder() / _DURATIONS)


def remember_durations(known: Mapping[str, list[float]], record: Record) -> None:
    """Keep how long steps took, for the next run's estimate. It is of no account when that cannot be written."""
    path = state_folder() / _DURATIONS
    with suppress(OSError):
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(durations_text(known, record), encoding="utf-8")
        part.replace(path)
