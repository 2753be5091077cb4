"""The image registry: its program, its storage, and filling it."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clusterctl.errors import CommandFailed
from clusterctl.lab.build import golang, process
from clusterctl.lab.build.artifacts import registry_command
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.golang import GoBuild
from clusterctl.lab.build.image import manifest_descriptor
from clusterctl.lab.build.images import Image
from clusterctl.lab.build.items import FILES, Item, Workshop, ours
from clusterctl.lab.build.push import Registry
from clusterctl.lab.build.versions import REGISTRY

_MODULE = "github.com/distribution/distribution/v3"
_STARTS_WITHIN = 20.0


def program() -> Item:
    """The registry program ``registry`` and its ``config.yml``."""
    wanted = GoBuild(
        requires={_MODULE: f"v{REGISTRY}"},
        packages=(f"{_MODULE}/cmd/registry",),
        sets={f"{_MODULE}/version.version": f"v{REGISTRY}"},
    )

    def make(shop: Workshop, target: Path) -> None:
        (golang.build(shop, target, wanted) / "registry").rename(target / "registry")
        (target / "config.yml").write_bytes((FILES / "registry/config.yml").read_bytes())
        golang.tidy(target)

    return Item(
        f"registry-{REGISTRY}", (wanted.recipe(), *ours("registry")), make,
        tools=("go",), seconds=90, gigabytes=0.5,
    )  # fmt: skip


def storage(cache: Cache) -> Path:
    """Where the registry keeps its images. The lab's users may push more into it."""
    return cache.root / "registry"


def content(images: Sequence[Image], served_by: Item) -> Item:
    """All images in the registry's storage: those that are not there yet get pushed."""

    def make(shop: Workshop, target: Path) -> None:
        absent = [image for image in images if not holds(shop.cache, image)]
        with _serving(shop, served_by) as registry:
            for image in absent:
                registry.push(shop.path(image.item), image.repository, image.tag, shop.tick)

    return Item(
        "registry-content",
        (),
        make,
        needs=(served_by, *(image.item for image in images)),
        is_there=lambda cache: all(holds(cache, image) for image in images),
        seconds=10,
        gigabytes=1.0,
    )


def holds(cache: Cache, image: Image) -> bool:
    """Whether the storage has exactly this image under its name and tag."""
    link = (
        storage(cache) / "docker/registry/v2/repositories" / image.repository
        / "_manifests/tags" / image.tag / "current/link"
    )  # fmt: skip
    layout = cache.path(image.item.key)
    try:
        return link.read_text().strip() == str(manifest_descriptor(layout)["digest"])
    except FileNotFoundError:
        return False


@contextmanager
def _serving(shop: Workshop, served_by: Item) -> Iterator[Registry]:
    """A registry on a free local port, for as long as the block lasts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    argv = registry_command(shop.path(served_by) / "registry", storage(shop.cache), "127.0.0.1", port)
    with shop.log.open("ab") as said:
        served = process.start(argv, said)
    try:
        registry, deadline = Registry("127.0.0.1", port), time.monotonic() + _STARTS_WITHIN
        while not registry.alive():
            if served.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(
                    "the lab's registry did not start",
                    details=process.last_lines(shop.log),
                    resolution=f"read {shop.log}; then run the same command again",
                )
            shop.tick()
            _pause(served)
        yield registry
    finally:
        process.end_group(served)


def _pause(served: subprocess.Popen[bytes]) -> None:
    try:
        served.wait(0.1)
    except subprocess.TimeoutExpired:
        return
