"""Manifests: from files and a web server, and never with another digest."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clusterctl.errors import ConnectError, InputError, Refused
from clusterctl.model.inventory import Source
from clusterctl.remote.download import Downloads

TEXT = "kind: Namespace\n"
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()


class Site(BaseHTTPRequestHandler):
    """Serves the manifest, and counts."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        """The manifest at /a.yaml; nothing elsewhere."""
        self.asked.append(self.path)
        self.send_response(200 if self.path == "/a.yaml" else 404)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT.encode())


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A web server's address, and what it was asked for."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Fresh(Site):
        asked: list[str] = []  # noqa: RUF012

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Fresh.asked
        server.shutdown()
        thread.join()


def test_a_download_is_kept_by_its_digest(site: tuple[str, list[str]], tmp_path: Path) -> None:
    """The second time nobody is asked, also by another instance."""
    source = Source(url=f"{site[0]}/a.yaml", sha256=DIGEST)

    assert Downloads(tmp_path).fetch(source) == TEXT
    assert Downloads(tmp_path).fetch(source) == TEXT

    assert site[1] == ["/a.yaml"]
    assert [path.name for path in tmp_path.iterdir()] == [DIGEST]


def test_a_spoilt_copy_is_downloaded_again(site: tuple[str, list[str]], tmp_path: Path) -> None:
    """What is kept is checked like what comes over the network."""
    (tmp_path / DIGEST).write_text("something else")

    assert Downloads(tmp_path).fetch(Source(url=f"{site[0]}/a.yaml", sha256=DIGEST)) == TEXT
    assert (tmp_path / DIGEST).read_text() == TEXT


def test_another_digest_is_refused(site: tuple[str, list[str]], tmp_path: Path) -> None:
    """Both digests are told, and nothing is kept."""
    with pytest.raises(Refused) as caught:
        Downloads(tmp_path).fetch(Source(url=f"{site[0]}/a.yaml", sha256="0" * 64))

    assert DIGEST in caught.value.details
    assert "0" * 64 in caught.value.details
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("path", "told"), [("/absent.yaml", "404")])
def test_what_is_not_there_is_told(site: tuple[str, list[str]], tmp_path: Path, path: str, told: str) -> None:
    """The address and the server's answer, and the way without internet."""
    with pytest.raises(ConnectError, match=told) as caught:
        Downloads(tmp_path).fetch(Source(url=site[0] + path, sha256=DIGEST))

    assert "file:" in caught.value.resolution


def test_a_server_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is no traceback."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with pytest.raises(ConnectError, match=r"cannot download http://127\.0\.0\.1:1/a"):
        Downloads(tmp_path).fetch(Source(url="http://127.0.0.1:1/a", sha256=DIGEST))


def test_a_file_needs_no_network(tmp_path: Path) -> None:
    """It is read where it is, checked, and not copied."""
    (tmp_path / "a.yaml").write_text(TEXT)
    downloads = Downloads(tmp_path / "cache")

    assert downloads.fetch(Source(file=tmp_path / "a.yaml", sha256=DIGEST)) == TEXT
    with pytest.raises(Refused, match="its sha256 is another one"):
        downloads.fetch(Source(file=tmp_path / "a.yaml", sha256="0" * 64))
    with pytest.raises(InputError, match="cannot read the manifest"):
        downloads.fetch(Source(file=tmp_path / "absent.yaml", sha256=DIGEST))
    assert not (tmp_path / "cache").exists()
