"""Write a kubeconfig: whole or not at all, for its owner alone, and over no other cluster's."""

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from clusterctl.errors import InputError, Refused
from clusterctl.model.secret import Secret


def write(path: Path, content: Secret, *, force: bool) -> None:
    """Write ``content`` to ``path`` with mode 0600; a folder that is missing, such as ~/.kube, is made.

    Raises Refused when ``path`` holds anything but a kubeconfig of the same cluster, unless ``force``; InputError
    when it cannot be written.
    """
    path = path.expanduser()
    try:
        if not force and path.exists() and clusters(path.read_text(encoding="utf-8")) != clusters(content.reveal()):
            raise Refused(
                f"{path} is not a kubeconfig of this cluster alone; it was left as it is",
                resolution="name another file, or overwrite it with --force",
            )
        path = path.resolve()  # A link stays a link.
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _replace(path, content)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot write {path}: {getattr(error, 'strerror', None) or error}",
            resolution="name a file that you may write: --output FILE",
        ) from error


def clusters(text: str) -> frozenset[tuple[str, str]] | None:
    """The server and the authority of each cluster in a kubeconfig; None when it is none."""
    try:
        entries: list[dict[str, Any]] = [entry["cluster"] for entry in yaml.safe_load(text)["clusters"]]
        return frozenset(
            (
                str(entry["server"]),
                str(entry.get("certificate-authority-data") or entry.get("certificate-authority")),
            )
            for entry in entries
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None


def _replace(target: Path, content: Secret) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # With mode 0600.
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content.reveal())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
