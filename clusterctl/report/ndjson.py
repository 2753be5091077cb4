"""Events as JSON, one object a line: for ``--log`` and for the audit trail."""

import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clusterctl.engine.events import Event
from clusterctl.errors import ClusterctlError, InputError
from clusterctl.model.secret import Secret, redact


def plain(value: object) -> Any:
    """``value`` as JSON values, without secrets."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact(value)
        case Secret():
            return str(value)
        case ClusterctlError():
            words = {"what": value.what, "details": value.details, "resolution": value.resolution}
            return {"exit_code": value.exit_code} | {key: redact(text) for key, text in words.items() if text}
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Sequence() | set() | frozenset():
            return [plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return redact(str(value))


def event_name(event: Event) -> str:
    """``step-changed`` for a StepChanged."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


class Lines:
    """A file of JSON lines that only its owner may read. Each line is written at once, whole. Safe for threads.

    A disk that is full ends no run: ``problem`` says then why lines are missing. Raises InputError when the file
    cannot be made.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path = path.expanduser()
        self.problem = ""
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_EXCL if new else 0)
        try:
            self._file = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def event(self, event: Event) -> None:
        """Write an event of the engine."""
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        self.write(event_name(event), **values)

    def write(self, event: str, **values: object) -> None:
        """Write a line: what happened, when, and its values."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        data = {"at": at, "event": event, **{key: plain(value) for key, value in values.items()}}
        line = json.dumps(data, ensure_ascii=False).encode(errors="replace") + b"\n"
        with self._lock:
            if self._file < 0:
                return
            try:
                os.write(self._file, line)
            except OSError as error:
                self.problem = str(error.strerror)
