"""What is in the cache and nothing needs any more: items whose recipe has changed since."""

from collections.abc import Collection
from pathlib import Path

from clusterctl.lab.build import golang, repository
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.items import Item, Later
from clusterctl.lab.build.plan import plan
from clusterctl.lab.build.versions import EXTRAS, VERSIONS

_IMAGE = "image-"


def old_items(kept: Cache, in_use: Collection[Path] = ()) -> tuple[Path, ...]:
    """The items that no version needs as recipes are today, and that are not below a path of ``in_use``.

    Which etcd, CoreDNS and pause a version needs is not known before that version is built: while one is not,
    images of a kind that the plan does not know are kept.
    """
    planned = plan(kept, VERSIONS, EXTRAS)
    current = [item for item in planned if isinstance(item, Item)]
    keys = {item.key for item in current} | {golang.toolchain().key}
    names = {item.name for item in current}
    guessing = any(isinstance(item, Later) for item in planned)
    found = []
    for path in sorted((kept.root / "items").glob("*")):
        name = path.name.rpartition("-")[0]
        unknown = guessing and name.startswith(_IMAGE) and name not in names
        used = any(place.is_relative_to(path) for place in (*in_use, *_served(kept)))
        if path.name not in keys and not unknown and not used:
            found.append(path)
    return tuple(found)


def _served(kept: Cache) -> list[Path]:
    """The repositories that running labs serve: what the links below the served directory point to."""
    return [link.resolve() for link in repository.directory(kept).rglob("*") if link.is_symlink()]
