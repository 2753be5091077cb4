"""Images that somebody brings along: OCI archives in a folder, pushed into a lab's registry.

`docker save`, `skopeo copy … oci-archive:`, `podman save --format oci-archive` and `ctr images export` write such.
"""

import json
import platform
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clusterctl.errors import CommandFailed, InputError
from clusterctl.lab.build.image import blob
from clusterctl.lab.build.push import Registry
from clusterctl.lab.progress import Report, Told, Working

_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_REFERENCE = re.compile(r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*):(?P<tag>\w[\w.-]{0,127})")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_STARTS_WITHIN = 20.0


def archives(folder: Path) -> tuple[Path, ...]:
    """The archives in a folder. Raises InputError when there is none."""
    found = sorted(path for path in folder.glob("*") if path.name.endswith((".tar", ".tar.gz", ".tgz")))
    if not found:
        raise InputError(
            f"{folder} holds no image archive (*.tar, *.tar.gz)",
            resolution="save images there, each with its full name, for example: "
            "skopeo copy docker://quay.io/calico/node:v3.32.1 oci-archive:node.tar:quay.io/calico/node:v3.32.1",
        )
    return tuple(found)


def push_all(found: tuple[Path, ...], registry: Registry, report: Report) -> tuple[str, ...]:
    """Push every image of the archives; return the names by which a mirror serves them."""
    _wait_for(registry)
    pushed = []
    for archive in found:
        working = Working(f"pushing {archive.name}")
        with tempfile.TemporaryDirectory(prefix="clusterctl-images-", dir=archive.parent) as scratch:
            layout = _unpacked(archive, Path(scratch))
            for descriptor, repository, tag in images(layout, archive):
                report(working)
                registry.push(layout, repository, tag, _again(report, working), descriptor)
                pushed.append(f"{repository}:{tag}")
    report(Told(f"the registry has got {', '.join(pushed)}"))
    return tuple(pushed)


def images(layout: Path, archive: Path) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """Every image of a layout: its descriptor, and its path and tag in a registry."""
    for descriptor in json.loads((layout / "index.json").read_text()).get("manifests") or []:
        annotations = descriptor.get("annotations") or {}
        name = next((place for key in _NAMES if (place := location(annotations.get(key, "")))), None)
        if name is None:
            raise InputError(
                f"{archive} does not say the full name of its image",
                resolution="save it with its name: skopeo copy … oci-archive:FILE:quay.io/calico/node:v3.32.1",
            )
        yield _present(layout, descriptor, archive), *name


def location(reference: str) -> tuple[str, str] | None:
    """Where a registry's mirror has an image: its path without the registry, and its tag. None: no full name."""
    first, slash, rest = reference.partition("/")
    if not slash:
        return None
    if "." not in first and ":" not in first and first != "localhost":
        rest = reference
    elif first == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    found = _REFERENCE.fullmatch(rest)
    return (found["repository"], found["tag"]) if found else None


def _present(layout: Path, descriptor: Mapping[str, Any], archive: Path) -> Mapping[str, Any]:
    """The descriptor; of a list whose images are not all in the archive, that of this computer's architecture."""
    content = _read(layout, descriptor, archive)
    if "manifests" not in content:
        return descriptor
    children = [child for child in content["manifests"] if blob(layout, child["digest"]).exists()]
    if len(children) == len(content["manifests"]):
        return descriptor
    wanted = _ARCHITECTURES.get(platform.machine(), platform.machine())
    for child in children:
        if (child.get("platform") or {}).get("architecture") == wanted:
            return dict(child)
    raise InputError(f"{archive} holds no image for {wanted}", resolution=f"save the image for linux/{wanted}")


def _read(layout: Path, descriptor: Mapping[str, Any], archive: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(blob(layout, descriptor["digest"]).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{archive} is incomplete: {error}", resolution="save the image again") from error
    return content


def _unpacked(archive: Path, target: Path) -> Path:
    try:
        with tarfile.open(archive) as file:
            file.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"cannot unpack {archive}: {error}", resolution="save the image again") from error
    if not (target / "index.json").is_file():
        raise InputError(
            f"{archive} is no OCI archive: it has no index.json",
            resolution="docker save of Docker 25 or newer writes one, and so does skopeo copy … oci-archive:FILE:NAME",
        )
    return target


def _wait_for(registry: Registry) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while not registry.alive():
        if time.monotonic() > deadline:
            raise CommandFailed("the lab's registry does not answer", resolution="clusterctl lab down, and up again")
        time.sleep(0.1)


def _again(report: Report, working: Working) -> Callable[[], None]:
    return lambda: report(working)
