"""Image archives that somebody brings along."""

import json
import tarfile
from pathlib import Path

import pytest

from clusterctl.errors import InputError
from clusterctl.lab import oci
from clusterctl.lab.build.push import Registry
from tests.lab.test_build_registry import FakeRegistry, fake, make_layout  # noqa: F401 - fake is a fixture.

NODE = "quay.io/calico/node:v3.32.1"


def archive(folder: Path, *, key: str = "org.opencontainers.image.ref.name", name: str = NODE) -> Path:
    """An OCI archive of a small image, named in its index."""
    layout = make_layout(folder)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["annotations"] = {key: name}
    (layout / "index.json").write_text(json.dumps(index))
    path = folder / "archives" / "node.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as file:
        file.add(layout, arcname=".")
    return path


@pytest.mark.parametrize("key", ["org.opencontainers.image.ref.name", "io.containerd.image.name"])
def test_an_archive_is_pushed_under_its_own_name(
    tmp_path: Path,
    fake: tuple[Registry, type[FakeRegistry]],  # noqa: F811
    key: str,
) -> None:
    """The registry serves it as a mirror of the one in its name; nothing is left of the unpacking."""
    registry, got = fake
    path = archive(tmp_path, key=key)

    class Answering(Registry):
        def alive(self) -> bool:
            return True

    pushed = oci.push_all(oci.archives(path.parent), Answering(registry.host, registry.port), lambda event: None)

    assert pushed == ("calico/node:v3.32.1",)
    assert list(got.manifests) == ["/v2/calico/node/manifests/v3.32.1"]
    assert len(got.blobs) == 2
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("quay.io/calico/node:v3.32.1", ("calico/node", "v3.32.1")),
        ("docker.io/library/nginx:1.22", ("library/nginx", "1.22")),
        ("docker.io/nginx:1.22", ("library/nginx", "1.22")),
        ("calico/node:v1", ("calico/node", "v1")),
        ("registry.example:5000/a/b/c:latest", ("a/b/c", "latest")),
        ("localhost/x:1", ("x", "1")),
        ("v3.32.1", None),
        ("nginx:1.22", None),
        ("quay.io/calico/node", None),
        ("quay.io/calico/node@sha256:0", None),
        ("", None),
    ],
)
def test_where_a_mirror_has_an_image(reference: str, expected: tuple[str, str] | None) -> None:
    """The registry's name is left out; what has no full name has no place."""
    assert oci.location(reference) == expected


def test_an_image_of_another_architecture_alone_is_refused(tmp_path: Path) -> None:
    """A list is cut down to what is in the archive, and that has to fit the machines."""
    layout = make_layout(tmp_path)
    index = json.loads((layout / "index.json").read_text())
    child = {**index["manifests"][0], "platform": {"architecture": "s390x", "os": "linux"}}
    listed = layout / "blobs" / "sha256" / ("1" * 64)
    listed.write_text(json.dumps({"manifests": [child, {**child, "digest": f"sha256:{'2' * 64}"}]}))
    descriptor = {"digest": f"sha256:{'1' * 64}", "annotations": {"io.containerd.image.name": NODE}}
    (layout / "index.json").write_text(json.dumps({"manifests": [descriptor]}))

    with pytest.raises(InputError, match="holds no image for"):
        list(oci.images(layout, Path("a.tar")))


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    """An empty folder, an image without a name, a file that is no archive, one without an index."""
    with pytest.raises(InputError, match="holds no image archive"):
        oci.archives(tmp_path)
    unnamed = archive(tmp_path, name="v1")
    silent = Registry("127.0.0.1", 1)
    object.__setattr__(silent, "alive", lambda: True)
    with pytest.raises(InputError, match="full name"):
        oci.push_all((unnamed,), silent, lambda event: None)
    (tmp_path / "bad.tar").write_text("no tar")
    with pytest.raises(InputError, match="cannot unpack"):
        oci.push_all((tmp_path / "bad.tar",), silent, lambda event: None)
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(InputError, match=r"no index\.json"):
        oci.push_all((tmp_path / "empty.tar",), silent, lambda event: None)
