"""Debian packages of what was built, laid out as the official ones."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from clusterctl.lab.build.items import Workshop

MAINTAINER = "clusterctl lab <lab@clusterctl.invalid>"


@dataclass(frozen=True)
class Deb:
    """A package: what it is called, what it depends on, and which files it installs.

    ``files`` maps a path in the package to the file it comes from; ``scripts`` likewise for the maintainer
    scripts. Files that are executable where they come from are so in the package.
    """

    package: str
    version: str
    description: str
    files: dict[str, Path]
    depends: str = ""
    section: str = "admin"
    homepage: str = "https://kubernetes.io"
    conffiles: tuple[str, ...] = ()
    scripts: dict[str, Path] = field(default_factory=dict)

    def control(self, architecture: str, kilobytes: int) -> str:
        """The text of the control file."""
        lines = [
            f"Package: {self.package}",
            f"Version: {self.version}",
            f"Architecture: {architecture}",
            f"Maintainer: {MAINTAINER}",
            f"Installed-Size: {kilobytes}",
            f"Section: {self.section}",
            "Priority: optional",
            f"Homepage: {self.homepage}",
            f"Description: {self.description}",
        ]
        if self.depends:
            lines.insert(5, f"Depends: {self.depends}")
        return "\n".join(lines) + "\n"

    def file_name(self, architecture: str) -> str:
        """The name of the package file."""
        return f"{self.package}_{self.version}_{architecture}.deb"


def write(shop: Workshop, deb: Deb, architecture: str, directory: Path) -> Path:
    """Write a package file into a directory."""
    tree = directory / f".{deb.package}"
    for name, source in deb.files.items():
        _copy(source, tree / name)
    for name, source in deb.scripts.items():
        _copy(source, tree / "DEBIAN" / name, mode=0o755)
    (tree / "DEBIAN").mkdir(exist_ok=True)
    if deb.conffiles:
        (tree / "DEBIAN/conffiles").write_text("".join(f"/{name}\n" for name in deb.conffiles))
    kilobytes = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024 + 1
    (tree / "DEBIAN/control").write_text(deb.control(architecture, kilobytes))
    target = directory / deb.file_name(architecture)
    # Fast to unpack on a machine counts here, size does not: nobody downloads these from afar.
    shop.run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "--build", tree, target, env={"SOURCE_DATE_EPOCH": "0"})
    shutil.rmtree(tree)
    return target


def _copy(source: Path, target: Path, mode: int | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode or (0o755 if os.access(source, os.X_OK) else 0o644))
