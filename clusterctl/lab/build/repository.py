"""Signed apt repositories, flat as the official ones: packages and their index in one directory."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from clusterctl.errors import CommandFailed
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.items import Item, Workshop, machine

OWNER = "clusterctl lab <lab@clusterctl.invalid>"


def signing_key() -> Item:
    """The lab's own key: ``gnupg/`` with the secret part, ``Release.key`` armoured, ``fingerprint``."""

    def make(shop: Workshop, target: Path) -> None:
        home = target / "gnupg"
        home.mkdir(mode=0o700)
        with _gpg(home) as gpg:
            shop.run(*gpg, "--quick-generate-key", OWNER, "ed25519", "sign", "never")
            shop.run(*gpg, "--armor", "--export", stdout=target / "Release.key")
            shop.run(*gpg, "--with-colons", "--list-keys", stdout=target / "listing")
        (target / "fingerprint").write_text(fingerprint((target / "listing").read_text()) + "\n")
        (target / "listing").unlink()

    return Item("signing-key", (OWNER, "ed25519"), make, tools=("gpg", "gpgconf"), seconds=2)


def repository(name: str, needs: Sequence[Item], key: Item) -> Item:
    """A repository of all packages in ``debs/`` of the items it needs."""

    def make(shop: Workshop, target: Path) -> None:
        for need in needs:
            for package in sorted((shop.path(need) / "debs").glob("*.deb")):
                os.link(package, target / package.name)
        stanzas = []
        for package in sorted(target.glob("*.deb")):
            said = target / "control"
            shop.run("dpkg-deb", "--field", package, stdout=said)
            stanzas.append(index_stanza(said.read_text(), package.name, package.read_bytes()))
            said.unlink()
        index = "\n".join(stanzas).encode()
        (target / "Packages").write_bytes(index)
        release = release_text(name, machine(), {"Packages": index}, datetime.now(UTC))
        (target / "Release").write_text(release)
        with _gpg(shop.path(key) / "gnupg") as gpg:
            shop.run(*gpg, "--clearsign", "--output", target / "InRelease", target / "Release")
            shop.run(*gpg, "--armor", "--detach-sign", "--output", target / "Release.gpg", target / "Release")
        (target / "Release.key").write_bytes((shop.path(key) / "Release.key").read_bytes())

    return Item(
        f"repository-{name}", ("flat",), make, needs=(key, *needs), tools=("dpkg-deb", "gpg", "gpgconf"), seconds=3
    )


def directory(cache: Cache) -> Path:
    """The directory that is served: a link to the repository item of each path in it."""
    return cache.root / "repository"


def published(served: Mapping[str, Item]) -> Item:
    """The repositories at the paths they are served under; each path changes in one step."""

    def link(cache: Cache, path: str) -> tuple[Path, str]:
        place = directory(cache) / path
        return place, os.path.relpath(cache.path(served[path].key), place.parent)

    def make(shop: Workshop, target: Path) -> None:
        for path in served:
            place, points_to = link(shop.cache, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            (target / "link").symlink_to(points_to)
            (target / "link").rename(place)

    def is_there(cache: Cache) -> bool:
        links = [link(cache, path) for path in served]
        return all(place.is_symlink() and place.readlink() == Path(points_to) for place, points_to in links)

    return Item("repositories", tuple(served), make, needs=tuple(served.values()), seconds=1, is_there=is_there)


def index_stanza(control: str, file_name: str, content: bytes) -> str:
    """A package's entry in the index: its control fields, and where its file is and what it must be."""
    return (
        f"{control.strip()}\nFilename: ./{file_name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def release_text(name: str, architecture: str, files: Mapping[str, bytes], now: datetime) -> str:
    """The Release file: what the index files must be."""
    lines = [
        "Origin: clusterctl lab",
        f"Label: {name}",
        f"Architectures: {architecture}",
        f"Date: {now.strftime('%a, %d %b %Y %H:%M:%S')} UTC",
        "SHA256:",
    ]
    lines += [f" {hashlib.sha256(text).hexdigest()} {len(text)} {path}" for path, text in sorted(files.items())]
    return "\n".join(lines) + "\n"


def fingerprint(listing: str) -> str:
    """The first key's fingerprint in the answer of ``gpg --with-colons --list-keys``."""
    for line in listing.splitlines():
        words = line.split(":")
        if words[0] == "fpr":
            return words[9]
    raise CommandFailed("gpg made no key for the lab's repositories", details=listing, resolution="gpg --version")


@contextmanager
def _gpg(home: Path) -> Iterator[tuple[str, ...]]:
    """How gpg is called with a home directory; its agent is gone when the block ends.

    The agent's socket lies in the home directory, and a socket's path has at most 107 characters, which a
    cache directory can exceed: gpg gets a short link to it.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        link = Path(short) / "gnupg"
        link.symlink_to(home)
        try:
            yield ("gpg", "--homedir", str(link), "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "")
        finally:
            subprocess.run(["gpgconf", "--homedir", link, "--kill", "all"], capture_output=True, check=False)
