"""Versions of Kubernetes, as its packages, images and kubelets bear them."""

import re

Version = tuple[int, int, int]
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+~].*)?")


def parse(text: str) -> Version:
    """The numbers of a version such as ``1.36.3``, ``v1.36.3`` or a package's ``1.36.3-1.1``. Raises ValueError."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no version")
    return int(match[1]), int(match[2]), int(match[3])


def minor(text: str) -> tuple[int, int]:
    """Major and minor of a version, or of a minor such as ``1.36``. Raises ValueError."""
    parts = text.removeprefix("v").split(".")
    if len(parts) == 2:
        return int(parts[0]), int(parts[1])
    return parse(text)[:2]


def minor_text(text: str) -> str:
    """The minor of a version in words: ``1.36``."""
    return ".".join(map(str, minor(text)))


def image_version(image: str) -> str:
    """The version in an image's tag, ``1.36.3`` of ``registry.k8s.io/kube-proxy:v1.36.3``; empty when it has none."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return tag.removeprefix("v") if _VERSION.fullmatch(tag) else ""


def at_least(version: str, wanted: str) -> bool:
    """Whether ``version`` is ``wanted`` or newer; what is no version, such as an empty text, is not."""
    try:
        return parse(version) >= parse(wanted)
    except ValueError:
        return False
