"""Versions are compared by their numbers."""

import pytest

from clusterctl.rules.versions import at_least, image_version, minor, minor_text, parse


@pytest.mark.parametrize("text", ["1.36.3", "v1.36.3", "1.36.3-1.1", "1.36.3+build"])
def test_a_version_is_read_in_all_its_forms(text: str) -> None:
    """As kubelets, packages and images write it."""
    assert parse(text) == (1, 36, 3)
    assert minor(text) == (1, 36)
    assert minor_text(text) == "1.36"


@pytest.mark.parametrize("text", ["", "1.36", "latest", "1.36.x"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """A minor alone is no version either."""
    with pytest.raises(ValueError, match="is no version"):
        parse(text)


def test_a_minor_may_stand_alone() -> None:
    """As in --to 1.36."""
    assert minor("1.36") == (1, 36)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/kube-apiserver:v1.36.3", "1.36.3"),
        ("mirror.example:5000/k8s/kube-proxy:v1.35.10", "1.35.10"),
        ("mirror.example:5000/kube-proxy", ""),
        ("registry.k8s.io/kube-proxy:v1.36.3@sha256:0123", "1.36.3"),
        ("registry.k8s.io/pause:3.10", ""),
    ],
)
def test_an_image_bears_its_version_in_its_tag(image: str, version: str) -> None:
    """A registry's port is none."""
    assert image_version(image) == version


def test_numbers_are_compared_as_numbers() -> None:
    """1.35.10 is newer than 1.35.9, and nothing is not."""
    assert at_least("1.35.10", "1.35.9")
    assert at_least("1.36.0-1.1", "1.35.9")
    assert not at_least("1.35.9", "1.35.10")
    assert not at_least("", "1.35.10")
