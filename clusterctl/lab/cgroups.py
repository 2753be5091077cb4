"""The control groups of a machine: where they go, how a process enters them, how they are cleared away.

On cgroup v1 a machine gets one group in every hierarchy, below the group its supervisor is in; the unified one
of a hybrid layout counts, because systemd-nspawn takes from it where all of the machine goes. On cgroup v2 it gets
one group beside its supervisor, below a scope that systemd delegated. Standard library only.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TOP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one machine, and what only cgroup v2 needs besides.

    ``watch`` is where the supervisor itself goes, because a group with processes can give no controllers to
    groups below it; ``givers`` are those that have to; ``above`` is what nobody else removes in the end.
    """

    machine: tuple[Path, ...]
    watch: Path | None = None
    givers: tuple[Path, ...] = ()
    above: tuple[Path, ...] = ()


def version(top: Path = _TOP) -> int:
    """Return 2 on a machine with the unified hierarchy alone, else 1.

    A hybrid layout, with the unified hierarchy at ``/sys/fs/cgroup/unified``, has its controllers on v1.
    """
    return 2 if (top / "cgroup.controllers").exists() else 1


def v1_groups(own: str, mountinfo: str, name: str) -> tuple[Path, ...]:
    """Return the group ``name`` in every hierarchy of a v1 or hybrid layout, below the group a process is in.

    ``own`` is the text of ``/proc/self/cgroup``, ``mountinfo`` that of ``/proc/self/mountinfo``.
    """
    mounts: dict[frozenset[str], tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
        if kind in {"cgroup", "cgroup2"}:
            # The unified hierarchy names no controller: neither here nor in /proc/self/cgroup.
            flags = options.split(",") if kind == "cgroup" else [""]
            mounts[frozenset(flags)] = (fields[3], fields[4])
    groups = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        wanted = set(controllers.split(","))
        found = next((place for flags, place in mounts.items() if wanted <= flags), None)
        if found is not None:
            root, mountpoint = found
            groups.append(Path(mountpoint) / os.path.relpath(path, root) / name)
    return tuple(dict.fromkeys(Path(os.path.normpath(group)) for group in groups))


def v2_groups(own: str, name: str, *, delegated: bool, top: Path = _TOP) -> Groups:
    """Return a machine's group on cgroup v2.

    A delegated scope is all ours: the machine goes right below it. Without systemd the group goes to the top
    of the hierarchy, which alone may hold processes and groups side by side.
    """
    path = next(line.split("::", 1)[1] for line in own.splitlines() if line.startswith("0::"))
    if delegated:
        base = top / path.lstrip("/")
        return Groups((base / "machine",), base / "watch", givers=(base,))
    base = top / name
    return Groups((base / "machine",), base / "watch", givers=(top, base), above=(base,))


def of_this_process(name: str, *, delegated: bool) -> Groups:
    """Return where the groups of machine ``name`` go when this process starts it."""
    own = Path("/proc/self/cgroup").read_text()
    if version() == 2:
        return v2_groups(own, name, delegated=delegated)
    return Groups(v1_groups(own, Path("/proc/self/mountinfo").read_text(), name))


def create(groups: Groups) -> None:
    """Make the groups, ready for processes."""
    if groups.watch is not None:
        groups.watch.mkdir(parents=True, exist_ok=True)
        enter((groups.watch,))
        for giver in groups.givers:
            _give_controllers(giver)
    for group in groups.machine:
        group.mkdir(exist_ok=True)
        # A new cpuset of v1 is empty, and nothing may enter an empty one.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if groups.watch is None and (group / name).exists():
                (group / name).write_text((group.parent / name).read_text())


def _give_controllers(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):  # Not ours to give: the group above decides.
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def enter(groups: Iterable[Path]) -> None:
    """Move this process into the groups."""
    for group in groups:
        (group / "cgroup.procs").write_text("0")


def tree(group: Path) -> list[Path]:
    """Return a group and all below it, deepest first; nothing when it does not exist."""
    return [Path(directory) for directory, _, _ in os.walk(group, topdown=False)]


def clear(groups: Sequence[Path], seconds: float = 10) -> bool:
    """Kill what is left in the groups and remove them, deepest first; False when something would not go.

    With leftovers of ``kubepods`` a kubelet never gets past its status check after a reboot.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = [group for top in groups for group in tree(top) if not _removed(group)]
        if not left or time.monotonic() > deadline:
            return not left
        for group in left:
            _kill(group)
        time.sleep(0.02)


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill(group: Path) -> None:
    with contextlib.suppress(OSError):
        for line in (group / "cgroup.procs").read_text().split():
            # Membership is looked up right before: whatever is in a machine's own group is part of it. An id
            # of 0 is a process of another pid namespace, which would mean everybody in our own group.
            if int(line) > 0:
                os.kill(int(line), signal.SIGKILL)
