"""Container images as OCI layouts, the same bytes for the same content."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Settings:
    """How a container of an image starts, as the official image has it."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    path: str = _PATH
    user: str = ""
    ports: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def config(self, architecture: str, diff_ids: Sequence[str]) -> dict[str, Any]:
        """The image's configuration object."""
        run: dict[str, Any] = {"Env": [self.path]}
        if self.entrypoint:
            run["Entrypoint"] = list(self.entrypoint)
        if self.command:
            run["Cmd"] = list(self.command)
        if self.user:
            run["User"] = self.user
        if self.ports:
            run["ExposedPorts"] = {port: {} for port in self.ports}
        if self.stop_signal:
            run["StopSignal"] = self.stop_signal
        if self.labels:
            run["Labels"] = self.labels
        return {
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }


@dataclass(frozen=True)
class Content:
    """The files of a layer: a path in the image to the file it comes from, to a text, or to a link's target."""

    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[str, int] = field(default_factory=dict)


def write_layer(content: Content, target: Path) -> None:
    """Write a layer of single files."""
    paths = {*content.files, *content.texts, *content.links, *content.directories}
    parents = {str(parent) for path in paths for parent in Path(path).parents} - {"."}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(paths | parents):
            entry = tarfile.TarInfo(path)
            if path in content.files:
                source = content.files[path]
                entry.size = source.stat().st_size
                entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
                with source.open("rb") as data:
                    archive.addfile(entry, data)
            elif path in content.texts:
                write_bytes(archive, entry, content.texts[path].encode())
            elif path in content.links:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, content.links[path], 0o777
                archive.addfile(entry)
            else:
                entry.type, entry.mode = tarfile.DIRTYPE, content.directories.get(path, 0o755)
                archive.addfile(entry)


def write_bytes(archive: tarfile.TarFile, entry: tarfile.TarInfo, data: bytes) -> None:
    """Add a file of these bytes to an archive."""
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


def write_tree_layer(tree: Path, target: Path) -> None:
    """Write a layer of a whole directory tree, without the devices in it."""

    def settled(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if entry.isdev():
            return None
        entry.mtime, entry.uname, entry.gname = 0, "", ""
        return entry

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(tree.iterdir()):
            archive.add(path, arcname=path.name, filter=settled)


def write_image(
    target: Path, layers: Sequence[Path], settings: Settings, architecture: str, tick: Callable[[], None]
) -> None:
    """Write an OCI layout with one image of these layers, which are linked, not copied."""
    blobs = target / "blobs/sha256"
    blobs.mkdir(parents=True)
    digests = [digest(layer, tick) for layer in layers]
    for layer, its in zip(layers, digests, strict=True):
        if not (blobs / its).exists():
            os.link(layer, blobs / its)
    config = _blob(blobs, settings.config(architecture, [f"sha256:{its}" for its in digests]), CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [
            {"mediaType": LAYER, "digest": f"sha256:{its}", "size": layer.stat().st_size}
            for layer, its in zip(layers, digests, strict=True)
        ],
    }
    index = {"schemaVersion": 2, "manifests": [_blob(blobs, manifest, MANIFEST)]}
    (target / "index.json").write_text(json.dumps(index, sort_keys=True))
    (target / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def manifest_descriptor(layout: Path) -> dict[str, Any]:
    """Media type, digest and size of the one image (or list of images) in an OCI layout."""
    manifests = json.loads((layout / "index.json").read_text())["manifests"]
    descriptor: dict[str, Any] = manifests[0]
    return descriptor


def blob(layout: Path, digest_of: str) -> Path:
    """Where a blob of an OCI layout is, by its digest (``sha256:…``)."""
    return layout / "blobs" / digest_of.replace(":", "/", 1)


def digest(path: Path, tick: Callable[[], None]) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as data:
        while chunk := data.read(_CHUNK):
            found.update(chunk)
            tick()
    return found.hexdigest()


def _blob(blobs: Path, content: dict[str, Any], media_type: str) -> dict[str, Any]:
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    name = hashlib.sha256(text).hexdigest()
    (blobs / name).write_bytes(text)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(text)}
