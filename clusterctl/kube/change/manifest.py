"""From a YAML stream to objects. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from clusterctl.errors import InputError
from clusterctl.model.manifest import DIGEST_ANNOTATION, manifest_digest

_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # Written in C it reads 1 MB in a fifth of the time.


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """Reads values as kubectl does: what looks like a date is text, and so is a lone ``=``."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to leave types out.
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
        ]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


def objects(manifest: str, digest: str = "") -> list[dict[str, Any]]:
    """The objects of a stream in their order, each marked with ``digest``, or the stream's own. Lists are unpacked.

    Raises InputError when the stream is not YAML, or something in it is no Kubernetes object.
    """
    found = []
    try:
        for number, document in enumerate(yaml.load_all(manifest, Loader=_Loader), start=1):
            found += list(_unpack(document, number))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise InputError(
            f"the manifest is not valid YAML{place}: {getattr(error, 'problem', None) or error}",
            resolution="check the file with `kubectl apply --dry-run=client -f FILE`",
        ) from error
    digest = digest or manifest_digest(manifest)
    for item in found:
        annotations = item["metadata"].get("annotations") or {}
        item["metadata"]["annotations"] = {**annotations, DIGEST_ANNOTATION: digest}
    return found


def _unpack(document: Any, number: int) -> Iterator[dict[str, Any]]:
    if document is None:
        return
    if isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document:
        for item in document["items"] or []:
            yield from _unpack(item, number)
        return
    if (
        not isinstance(document, dict)
        or not all(isinstance(document.get(key), str) for key in ("apiVersion", "kind"))
        or not isinstance(document.get("metadata"), dict)
        or not isinstance(document["metadata"].get("name"), str)
    ):
        raise InputError(
            f"document {number} of the manifest is not a Kubernetes object",
            resolution="give each object apiVersion, kind and metadata.name",
        )
    yield document
