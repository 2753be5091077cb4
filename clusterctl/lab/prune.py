"""What labs have left behind: labs that died, and things in the cache that nothing needs any more."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from clusterctl.errors import InputError, Refused
from clusterctl.lab import host, process
from clusterctl.lab.build import building
from clusterctl.lab.build.cache import remove_tree
from clusterctl.lab.build.prune import old_items
from clusterctl.lab.lab import Lab, find
from clusterctl.lab.progress import Report, Told
from clusterctl.lab.state import Directory, names

CACHE = "cache"


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that can go: what it is, where, how many bytes that frees, and the way to remove it."""

    what: str
    path: Path
    size: int
    remove: Callable[[Report], None]


def leftovers(report: Report) -> tuple[Leftover, ...]:
    """Everything that can go. Labs that run, whoever's they are, and what they use are not among it."""
    seen: set[int] = set()
    dead = [
        Leftover(f"lab {lab.name}", lab.directory.path, _size(lab.directory.path, seen), lab.down)
        for lab in _dead(report)
    ]
    kept = building.cache()
    try:
        # While another build runs nobody can say what is old: it is about to use it, or to make it.
        with kept.lock():
            old = old_items(kept, _in_use())
    except Refused as refused:
        report(Told(f"the cache is left alone: {refused.what}"))
        old = ()
    return (*dead, *(Leftover(CACHE, path, _size(path, seen), _remover(path)) for path in old))


def remove(found: Iterable[Leftover], report: Report) -> None:
    """Remove leftovers; the cache is held alone meanwhile. Raises Refused when a build has started since."""
    several = list(found)
    for leftover in several:
        if leftover.what != CACHE:
            leftover.remove(report)
    old = [leftover for leftover in several if leftover.what == CACHE]
    if old:
        with building.cache().lock():
            used = _in_use()
            for leftover in old:
                if not any(path.is_relative_to(leftover.path) for path in used):
                    leftover.remove(report)


def _dead(report: Report) -> list[Lab]:
    """This user's labs that do not run and that nobody is starting at this moment."""
    found = []
    for name in names():
        try:
            lab = find(name)
        except InputError as error:
            report(Told(f"lab {name!r} is left alone: {error.what}"))
            continue
        if not lab.state.is_leftover:
            continue
        try:
            with lab.directory.lock():
                found.append(lab)
        except Refused:
            continue
    return found


def _in_use() -> list[Path]:
    """The things of the cache that labs use, those of other users and state directories included."""
    used = []
    for path in host.labs_in_use():
        directory = Directory(path.name, path.parent)
        # Read as it stands: a lab of another version of clusterctl uses its root file system just as well.
        rootfs = process.read_record(directory.path / "lab.json").get("rootfs")
        if rootfs:
            used.append(Path(rootfs))
        for record in (directory.registry, directory.packages):
            server = process.recorded(record)
            if server is not None:
                used += _words(server.pid)
    return used


def _words(pid: int) -> list[Path]:
    """The paths on a process's command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []
    return [Path(word) for word in words if word.startswith("/")]


def _remover(path: Path) -> Callable[[Report], None]:
    return lambda _: remove_tree(path)


def _size(path: Path, seen: set[int]) -> int:
    """The bytes on the disk, a file with several names once."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            status = Path(folder, name).lstat()
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return total
