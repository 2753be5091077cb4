"""A file that comes from a host in pieces: beside its place until it is whole, and known by its digest."""

import hashlib
import os
import shlex
from pathlib import Path
from types import TracebackType
from typing import Self

from clusterctl.errors import CommandFailed, InputError


class Arrival:
    """A file that is to lie at ``to``, of what comes after the line ``mark``; only its owner may read it.

    Use it as a context manager: what was not kept is gone at its end. Raises InputError when it cannot be written.
    """

    def __init__(self, to: Path, mark: str) -> None:
        self._to = to
        self._part = to.with_name(f"{to.name}.part")
        self._mark = f"{mark}\n".encode()
        # What a login shell prints before the mark; None once the file has begun.
        self._noise: bytes | None = b""
        self._digest = hashlib.sha256()
        self._file = -1

    def __enter__(self) -> Self:
        try:
            self._part.unlink(missing_ok=True)
            self._file = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._cannot(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._part.unlink(missing_ok=True)

    def take(self, data: bytes) -> None:
        """Write the next piece. Raises InputError when the disk does not take it."""
        if self._noise is not None:
            heard = self._noise + data
            _, mark, data = heard.partition(self._mark)
            if not mark:
                self._noise = heard[-len(self._mark) :]
                return
            self._noise = None
        self._digest.update(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise self._cannot(error) from error

    def keep(self, sha256: str, what: str) -> None:
        """Give the file its name, unless its digest is another one: then raise CommandFailed about ``what``."""
        found = self._digest.hexdigest()
        if found != sha256:
            raise CommandFailed(
                f"{what} arrived damaged: its sha256 is another one",
                details=f"there {sha256}\nhere  {found}",
                resolution="run the same command again; if it stays so, check the disks of both computers",
            )
        try:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1
            self._part.replace(self._to)
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write {self._to}: {error.strerror}",
            resolution=f"make room, or correct the permissions: df -h {shlex.quote(str(self._to.parent))}",
        )
