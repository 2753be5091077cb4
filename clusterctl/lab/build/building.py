"""Build what is missing, one item at a time, and tell how far it is."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs

from clusterctl.errors import CommandFailed, Refused
from clusterctl.lab.build import golang
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.events import Building, Built, Noted, Report, expected_left
from clusterctl.lab.build.items import Item, Later, Workshop
from clusterctl.lab.build.plan import plan

_TELL_EVERY = 2.0

DEBIAN_PACKAGES = {
    "apt-get": "apt",
    "mmdebstrap": "mmdebstrap",
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
    "gpgconf": "gnupg",
    "gcc": "gcc libc6-dev",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
"""The Debian package of each tool or file that building needs on this machine."""


def cache() -> Cache:
    """The user's cache."""
    return Cache(Path(platformdirs.user_cache_dir("clusterctl")) / "lab")


def missing(kubernetes: Sequence[str], extras: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the items that still have to be built for these versions."""
    kept = cache()
    return tuple(item.name for item in _missing(kept, plan(kept, kubernetes, extras)))


def _missing(kept: Cache, wanted: Sequence[Item | Later]) -> tuple[Item | Later, ...]:
    absent = [item for item in wanted if isinstance(item, Later) or not item.complete(kept)]
    needs_go = any(isinstance(item, Item) and "go" in item.tools for item in absent)
    if needs_go and golang.own_go() is None and not kept.has(golang.toolchain().key):
        absent.insert(0, golang.toolchain())
    return tuple(absent)


def build_missing(kept: Cache, wanted: Callable[[], Sequence[Item | Later]], report: Report) -> None:
    """Build what the cache has not of everything wanted; that is asked again after each item."""
    for name, text in notes(kept, wanted()):
        report(Noted(name, text))
    if not _missing(kept, wanted()):
        return  # Without the lock: whoever needs nothing built need not wait for another build.
    done = 0
    with kept.lock():
        while absent := _missing(kept, wanted()):
            if done == 0:
                check_machine(kept, absent)
            _build_next(kept, absent, done, report)
            done += 1


def _build_next(kept: Cache, absent: Sequence[Item | Later], done: int, report: Report) -> None:
    item = absent[0]
    if isinstance(item, Later):
        raise AssertionError(f"{item.name} is first in the plan before what it depends on")
    recorded = kept.durations()
    estimates = tuple(recorded.get(each.name, each.seconds) for each in absent)
    total = done + len(absent)
    started = time.monotonic()
    told = started - _TELL_EVERY

    def tick() -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TELL_EVERY:
            told = now
            elapsed = now - started
            report(Building(item.name, done, total, elapsed, expected_left(estimates, elapsed)))

    tick()
    kept.log(item.name).unlink(missing_ok=True)
    shop = Workshop(kept, item.name, tick, lambda text: report(Noted(item.name, text)))
    with kept.fill(item.key) if item.is_there is None else kept.scratch(item.key) as directory:
        try:
            item.make(shop, directory)
        except OSError as error:
            raise CommandFailed(
                f"{item.name} could not be built: {error}",
                resolution="remove the cause, then run the same command again: what is built already is kept",
            ) from error
    seconds = time.monotonic() - started
    kept.record(item.name, seconds)
    report(Built(item.name, done + 1, total, seconds))


def notes(kept: Cache, items: Sequence[Item | Later]) -> tuple[tuple[str, str], ...]:
    """What the user has to know about items that are complete, by item name."""
    files = [(item.name, kept.path(item.key) / "note") for item in items if isinstance(item, Item)]
    return tuple((name, file.read_text().strip()) for name, file in files if file.is_file())


def check_machine(kept: Cache, absent: Sequence[Item | Later]) -> None:
    """Refuse to start what this machine cannot finish: no root, a tool missing, too little disk space."""
    if os.geteuid() != 0:
        raise Refused(
            "building the lab needs root: it makes root file systems",
            resolution="run the same command with sudo",
        )
    items = [item for item in absent if isinstance(item, Item)]
    tools = dict.fromkeys(["setpriv", "unshare", *(tool for item in items for tool in item.tools if tool != "go")])
    lacking = [tool for tool in tools if shutil.which(tool) is None and not Path(tool).is_file()]
    if lacking:
        packages = " ".join(dict.fromkeys(DEBIAN_PACKAGES[tool] for tool in lacking))
        raise Refused(f"building the lab needs {', '.join(lacking)}", resolution=f"apt-get install {packages}")
    needed = sum(item.gigabytes for item in absent)
    free = shutil.disk_usage(kept.root).free / 1e9
    if free < needed:
        raise Refused(
            f"building the lab needs {needed:.0f} GB of disk space at {kept.root}, and {free:.1f} GB are free",
            resolution=f"make room: df -h {kept.root}",
        )
