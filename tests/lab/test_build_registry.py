"""Pushing images, and knowing which are there."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed
from clusterctl.lab.build import registry
from clusterctl.lab.build.artifacts import registry_command
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.image import Content, Settings, manifest_descriptor, write_image, write_layer
from clusterctl.lab.build.images import Image
from clusterctl.lab.build.items import Item
from clusterctl.lab.build.push import Registry


class FakeRegistry(BaseHTTPRequestHandler):
    """As much of a registry as a push needs; it refuses what it would be wrong to send."""

    blobs: dict[str, bytes]
    manifests: dict[str, bytes]
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def answer(self, status: int, **headers: str) -> None:
        """Send an answer without a body."""
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_HEAD(self) -> None:
        """Tell whether a blob is there."""
        self.answer(200 if self.path.rpartition("/")[2] in self.blobs else 404)

    def do_POST(self) -> None:
        """Begin an upload, at an address with a query of its own."""
        self.answer(202, Location=f"{self.path}1?_state=x")

    def do_PUT(self) -> None:
        """Take a blob, or a manifest whose blobs are there."""
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path.partition("?")[0])
        if "/manifests/" in self.path:
            self.manifests[self.path] = data
            self.answer(201 if "broken" not in self.path else 400)
        else:
            digest = self.path.rpartition("digest=")[2]
            self.blobs[digest] = data
            self.answer(201 if digest == f"sha256:{hashlib.sha256(data).hexdigest()}" else 400)


@pytest.fixture
def fake() -> Iterator[tuple[Registry, type[FakeRegistry]]]:
    """A registry that listens, and what it has got."""

    class Fresh(FakeRegistry):
        blobs: dict[str, bytes] = {}  # noqa: RUF012
        manifests: dict[str, bytes] = {}  # noqa: RUF012
        asked: list[str] = []  # noqa: RUF012

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Registry("127.0.0.1", server.server_port), Fresh
        server.shutdown()
        thread.join()


def make_layout(directory: Path) -> Path:
    """Return an OCI layout with a small image."""
    layer = directory / "layer.tar"
    write_layer(Content(texts={"x": "y"}), layer)
    write_image(directory / "image", [layer], Settings(entrypoint=("/x",)), "amd64", lambda: None)
    return directory / "image"


def test_a_push_sends_the_blobs_and_then_the_manifest(
    fake: tuple[Registry, type[FakeRegistry]], tmp_path: Path
) -> None:
    """A manifest never names a blob that is not there yet."""
    target, got = fake
    layout = make_layout(tmp_path)

    target.push(layout, "a/b", "1", lambda: None)

    assert got.asked == ["/v2/a/b/blobs/uploads/1", "/v2/a/b/blobs/uploads/1", "/v2/a/b/manifests/1"]
    sent = hashlib.sha256(got.manifests["/v2/a/b/manifests/1"]).hexdigest()
    assert manifest_descriptor(layout)["digest"] == f"sha256:{sent}"


def test_a_second_push_sends_no_blob_again(fake: tuple[Registry, type[FakeRegistry]], tmp_path: Path) -> None:
    """What the registry has already is not sent."""
    target, got = fake
    layout = make_layout(tmp_path)

    target.push(layout, "a/b", "1", lambda: None)
    got.asked.clear()
    target.push(layout, "a/b", "2", lambda: None)

    assert got.asked == ["/v2/a/b/manifests/2"]


def test_a_refused_push_is_an_error_with_the_answer(fake: tuple[Registry, type[FakeRegistry]], tmp_path: Path) -> None:
    """The error names the request and the status."""
    with pytest.raises(CommandFailed, match="answered 400 to PUT /v2/broken/manifests/1"):
        fake[0].push(make_layout(tmp_path), "broken", "1", lambda: None)


def test_a_registry_that_does_not_listen_is_not_alive() -> None:
    """Waiting for it to start is asking until it answers."""
    assert not Registry("127.0.0.1", 1).alive()


@pytest.mark.parametrize(
    ("link", "there"), [(None, False), ("right", True), ("sha256:0000", False)], ids=["absent", "right", "other"]
)
def test_an_image_is_there_when_its_tag_points_to_its_manifest(
    tmp_path: Path, link: str | None, *, there: bool
) -> None:
    """A tag that points to an older build is pushed again."""
    cache = Cache(tmp_path)
    item = Item("image-x", (), lambda shop, target: None)
    layout = make_layout(tmp_path)
    cache.path(item.key).parent.mkdir()
    layout.rename(cache.path(item.key))
    if link is not None:
        tag = tmp_path / "registry/docker/registry/v2/repositories/a/b/_manifests/tags/1/current/link"
        tag.parent.mkdir(parents=True)
        tag.write_text(manifest_descriptor(cache.path(item.key))["digest"] if link == "right" else link)

    assert registry.holds(cache, Image("a/b", "1", item)) is there


def test_an_image_that_is_not_built_is_not_there(tmp_path: Path) -> None:
    """Asking is no error before anything is built."""
    assert not registry.holds(Cache(tmp_path), Image("a", "1", Item("x", (), lambda shop, target: None)))


def test_the_registry_is_told_where_to_listen_and_to_store() -> None:
    """The command can be given to any supervisor."""
    command = registry_command(Path("/c/registry"), Path("/c/storage"), "10.77.0.1", 5000)

    assert command == (
        "env",
        "REGISTRY_HTTP_ADDR=10.77.0.1:5000",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/c/storage",
        "OTEL_TRACES_EXPORTER=none",
        "/c/registry",
        "serve",
        "/c/config.yml",
    )
