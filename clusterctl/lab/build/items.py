"""What an item is: a name, everything it depends on, and the way to make it."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from clusterctl.errors import InputError
from clusterctl.lab.build import process
from clusterctl.lab.build.cache import Cache

FILES = Path(__file__).parent / "files"
"""Unit files, scripts and small programs of ours, as they are on the machines and in the images."""


@dataclass(frozen=True)
class Workshop:
    """What the making of an item may use: the items made before it, tools, and a log."""

    cache: Cache
    name: str
    tick: Callable[[], None]
    note: Callable[[str], None]

    @property
    def log(self) -> Path:
        """The log of the item that is being made."""
        return self.cache.log(self.name)

    def path(self, item: "Item") -> Path:
        """Where another item is."""
        return self.cache.path(item.key)

    def run(
        self,
        *argv: str | os.PathLike[str],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: Path | None = None,
    ) -> None:
        """Run a tool; see ``process.run``."""
        process.run([os.fspath(arg) for arg in argv], log=self.log, tick=self.tick, cwd=cwd, env=env, stdout=stdout)


@dataclass(frozen=True)
class Item:
    """A thing that is built once and kept.

    ``recipe`` is everything its content depends on besides ``needs``, the items it is made from.
    ``is_there`` replaces the look into the cache, for what is kept elsewhere: nothing of it is kept as an item.
    ``seconds`` is what it took on a machine with two cores, ``gigabytes`` what building it needs at most.
    """

    name: str
    recipe: tuple[str, ...]
    make: Callable[[Workshop, Path], None]
    needs: tuple["Item", ...] = ()
    tools: tuple[str, ...] = ()
    seconds: float = 5.0
    gigabytes: float = 0.2
    is_there: Callable[[Cache], bool] | None = None

    def complete(self, cache: Cache) -> bool:
        """Whether it is built already."""
        return cache.has(self.key) if self.is_there is None else self.is_there(cache)

    @cached_property
    def key(self) -> str:
        """The item's name in the cache."""
        parts = [self.name, machine(), *self.recipe, *(need.key for need in self.needs)]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return f"{self.name}-{digest[:12]}"


@dataclass(frozen=True)
class Later:
    """An item whose exact version is not known before another one is complete."""

    name: str
    seconds: float
    gigabytes: float = 0.6


def machine() -> str:
    """Debian's and Go's name for this machine's architecture."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    found = platform.machine()
    if found not in names:
        raise InputError(
            f"the lab cannot be built on {found}",
            resolution=f"use a machine of one of these architectures: {', '.join(names)}",
        )
    return names[found]


def ours(*names: str) -> tuple[str, ...]:
    """The texts of some of our files or of whole directories of them, for a recipe."""
    texts: list[str] = []
    for name in names:
        path = FILES / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                texts += [str(file.relative_to(FILES)), file.read_text()]
    return tuple(texts)


def in_order(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items and all that they need, each once, what is needed first."""
    found: dict[str, Item] = {}

    def visit(item: Item) -> None:
        for need in item.needs:
            visit(need)
        found.setdefault(item.key, item)

    for item in items:
        visit(item)
    return tuple(found.values())
