"""What was saved of a cluster, kept on the operator's computer: a folder each, for its owner alone."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from clusterctl.errors import InputError
from clusterctl.session.call import operator
from clusterctl.session.state import state_folder
from clusterctl.steps.step import Machine, Saved

_SUMS = "SHA256SUMS"
_UNFINISHED = ".unfinished"
# Bytes that are left free on this computer besides.
_SPARE = 64 << 20


class Backups:
    """The backups of one cluster, in the user's state directory."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster

    def keep(self, name: str, machine: Machine, files: Mapping[str, Saved], texts: Mapping[str, str]) -> str:
        """Fill a folder beside its place, and give it its name when it is whole.

        Raises InputError when it cannot be written, and what the copying raises.
        """
        folder = state_folder("backups", self._cluster)
        part, whole = folder / f"{name}{_UNFINISHED}", folder / name
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o700)
            _leave_room(part, sum(file.size for file in files.values()))
            for own, file in files.items():
                machine.copy(file.path, part / own, sha256=file.sha256)
            for own, text in texts.items():
                _write(part / own, text)
            sums = {own: file.sha256 for own, file in files.items()}
            sums |= {own: hashlib.sha256(text.encode()).hexdigest() for own, text in texts.items()}
            _write(part / _SUMS, "".join(f"{digest}  {own}\n" for own, digest in sums.items()))
            part.rename(whole)
        except OSError as error:
            raise InputError(
                f"cannot write {whole}: {error.strerror}",
                resolution="name a directory with room, that you may write, in $XDG_STATE_HOME",
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return f"{operator()}:{whole}"


def _leave_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise InputError(
            f"{free >> 20} MiB are free for {folder.parent}; the backup takes {size >> 20} MiB and some",
            resolution="make room, or name a directory elsewhere in $XDG_STATE_HOME",
        )


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
