"""The cache of built things: complete or not there, whatever interrupts a build.

An item is built in a directory below ``work/`` and moved to ``items/<key>`` by one rename when it is complete.
The key holds a digest of everything the item depends on, so an item never changes once it is there.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clusterctl.errors import Refused


class Cache:
    """The directory that keeps what was built, and the lock that lets one build at a time write to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._work = root / "work"

    def path(self, key: str) -> Path:
        """Where the item with this key is, or will be."""
        return self.root / "items" / key

    def has(self, key: str) -> bool:
        """Whether the item is complete."""
        return self.path(key).is_dir()

    def log(self, name: str) -> Path:
        """The log of the last build of an item."""
        return self.root / "log" / f"{name}.log"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the cache alone, and clear what dead builds left behind. Refused when another build runs."""
        for directory in (self.root, self.root / "items", self.root / "log", self._work):
            directory.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise Refused(
                    f"another build of the lab is running (process {holder})",
                    resolution=f"wait for it to end, or end it with: kill {holder}",
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            for leftover in sorted(self._work.iterdir()):
                remove_tree(leftover)
            yield

    @contextmanager
    def fill(self, key: str) -> Iterator[Path]:
        """An empty directory that becomes the item with this key when the block ends without an error."""
        with self.scratch(key) as directory:
            yield directory
            directory.rename(self.path(key))

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty directory in the cache's file system that is gone when the block ends."""
        directory = self._work / name
        directory.mkdir()
        try:
            yield directory
        finally:
            if directory.exists():
                remove_tree(directory)

    def durations(self) -> Mapping[str, float]:
        """How long each item took when it was last built, in seconds."""
        try:
            recorded = json.loads((self.root / "times.json").read_text())
        except (OSError, ValueError):
            return {}
        return {str(name): float(seconds) for name, seconds in recorded.items()}

    def record(self, name: str, seconds: float) -> None:
        """Remember how long an item took."""
        times = {**self.durations(), name: round(seconds, 1)}
        write_text(self.root / "times.json", json.dumps(times, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a directory tree, and never anything that is mounted below it."""
    for mount in reversed(mounts_below(path)):
        subprocess.run(["umount", "--lazy", "--", mount], check=True)
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path)


def mounts_below(path: Path, mountinfo: str | None = None) -> list[str]:
    """The mount points at or below a path, parents before children."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    points = [_unescape(line.split()[4]) for line in text.splitlines() if line.strip()]
    return [point for point in points if Path(point).is_relative_to(path)]


def _unescape(mount_point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), mount_point)
