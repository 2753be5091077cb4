"""Where the real etcd and kube-apiserver come from."""

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import platformdirs


def find_binary(name: str, folder: Path, *, beside: str = "") -> Path | None:
    """Look in ``$CLUSTERCTL_TEST_BIN``, on PATH, then in what the lab has built; None when it is nowhere.

    ``folder`` is where a program goes that the lab has as an image alone. With ``beside`` it counts only in the place
    where that other program is found, so that both are of the same version.
    """
    if beside:
        other = find_binary(beside, folder)
        return other.with_name(name) if other and other.with_name(name).exists() else None
    own = os.environ.get("CLUSTERCTL_TEST_BIN")
    found = (shutil.which(name, path=own) if own else None) or shutil.which(name)
    if found:
        return Path(found)
    items = Path(platformdirs.user_cache_dir("clusterctl")) / "lab" / "items"
    for program in _newest_first(items, f"kubernetes-*/bin/{name}"):
        return program
    for image in _newest_first(items, f"image-{name}-*"):
        if _extract(image, name, folder / name):
            return folder / name
    return None


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)


def _extract(image: Path, name: str, target: Path) -> bool:
    """Take the program out of an OCI image; False when it is not in there."""

    def blob(descriptor: dict[str, Any]) -> Path:
        return image / "blobs" / str(descriptor["digest"]).replace(":", "/")

    description = json.loads((image / "index.json").read_text())
    while "layers" not in description:
        description = json.loads(blob(description["manifests"][0]).read_text())
    for layer in description["layers"]:
        with tarfile.open(blob(layer)) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == name:
                    content = archive.extractfile(member)
                    assert content
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    target.chmod(0o755)
                    return True
    return False
