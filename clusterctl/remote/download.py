"""Manifests from the internet or a file, read on the operator's computer; one with another digest is refused."""

import hashlib
import os
import tempfile
from pathlib import Path

import platformdirs

from clusterctl.errors import ConnectError, InputError, Refused
from clusterctl.model.inventory import Source

_TIMEOUT = 20.0
_LARGEST = 64 << 20


class Downloads:
    """Reads manifests; what was downloaded once is kept under its digest."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache or Path(platformdirs.user_cache_dir("clusterctl")) / "manifests"

    def fetch(self, source: Source) -> str:
        """Read a manifest.

        Raises Refused when its digest is another one, InputError when the file cannot be read, ConnectError when the
        address does not answer.
        """
        if source.file is not None:
            return _text(source, _read(source.file.expanduser()))
        kept = self._cache / source.sha256
        if kept.is_file():
            content = kept.read_bytes()
            if hashlib.sha256(content).hexdigest() == source.sha256:
                return _text(source, content)
        content = _download(source)
        text = _text(source, content)
        _keep(kept, content)
        return text


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the manifest {path}: {error.strerror}",
            resolution="correct the file's name in cluster.network; it is looked for from the current directory",
        ) from error


def _download(source: Source) -> bytes:
    import http.client
    import urllib.error
    import urllib.request

    by_hand = "download it elsewhere, and name it in cluster.network with file: instead of url:"
    try:
        with urllib.request.urlopen(source.url or "", timeout=_TIMEOUT) as answer:  # noqa: S310 - http or https.
            content: bytes = answer.read(_LARGEST + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        status = ""
        if isinstance(error, urllib.error.HTTPError):
            status = f"{error.code} "
            error.close()
        raise ConnectError(f"cannot download {source}: {status}{reason}", resolution=by_hand) from error
    if len(content) > _LARGEST:
        raise Refused(f"{source} is larger than {_LARGEST >> 20} MiB; a manifest is not", resolution=by_hand)
    return content


def _text(source: Source, content: bytes) -> str:
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise Refused(
            f"{source} is not what the inventory names: its sha256 is another one",
            details=f"wanted {source.sha256}\nfound  {found}",
            resolution="find out why: the file was changed, the address leads elsewhere, or the digest belongs to "
            "another version; set sha256 only to the digest of a text that you have read",
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{source} is not text", resolution="name a YAML manifest") from error


def _keep(path: Path, content: bytes) -> None:
    """Write a download into the cache; where that cannot be, it is downloaded again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        return
