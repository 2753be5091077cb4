"""How the outer machine reaches Debian's archive: its package sources and settings, for the trees built here."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterctl.errors import CommandFailed, InputError


@dataclass(frozen=True)
class Distribution:
    """A distribution whose root file systems can be built here."""

    name: str
    codename: str
    keyring: str
    keyring_package: str

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites a machine of this distribution uses."""
        return (self.codename, f"{self.codename}-updates", f"{self.codename}-security")


BOOKWORM = Distribution(
    name="debian",
    codename="bookworm",
    keyring="/usr/share/keyrings/debian-archive-keyring.gpg",
    keyring_package="debian-archive-keyring",
)

MIRROR_VARIABLE = "CLUSTERCTL_LAB_MIRROR"

_KEPT = re.compile(r"Acquire::(?:https?::|Retries|ForceIPv|Check-Valid-Until|Check-Date|Max-ValidTime)", re.IGNORECASE)
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


def sources(distribution: Distribution, texts: Mapping[str, str]) -> str:
    """The package sources of a distribution in apt's deb822 format.

    Those of the outer machine (file name to text) where they name this distribution's suites; else the mirror in
    the environment's CLUSTERCTL_LAB_MIRROR. Raises InputError when there is neither.
    """
    stanzas = [
        _stanza(distribution, uris, suites)
        for uris, suites in _named(texts)
        if suites and set(suites) <= set(distribution.suites)
    ]
    if not any(f"Suites: {distribution.codename}" in stanza for stanza in stanzas):
        mirror = os.environ.get(MIRROR_VARIABLE)
        if not mirror:
            raise InputError(
                f"this computer's package sources do not name {distribution.name} {distribution.codename}, "
                "the system of the lab's machines",
                resolution=f"name a mirror of it: export {MIRROR_VARIABLE}=http://MIRROR/{distribution.name}",
            )
        main, updates, security = distribution.suites
        stanzas = [
            _stanza(distribution, [mirror], [main, updates]),
            _stanza(distribution, [f"{mirror}-security"], [security]),
        ]
    return "\n".join(stanzas)


def settings(dump: str, environment: Mapping[str, str]) -> str:
    """The settings of ``apt-config dump`` that decide how an archive is reached, proxies included."""
    kept = [line for line in dump.splitlines() if _KEPT.match(line) and not line.endswith('"";')]
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy")
        if proxy and not any(f"{scheme}::proxy" in line.lower() for line in kept):
            kept.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return "".join(f"{line}\n" for line in kept)


def outer_sources(root: Path = Path("/etc/apt")) -> dict[str, str]:
    """The outer machine's source files by name."""
    files = [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]
    return {path.name: path.read_text() for path in files if path.suffix in (".list", ".sources") and path.is_file()}


def outer_settings() -> str:
    """The outer machine's settings; none where there is no apt."""
    try:
        asked = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return settings("", os.environ)
    except subprocess.CalledProcessError as error:
        raise CommandFailed(
            "apt-config dump failed on this machine", details=str(error.stderr), resolution="apt-config dump"
        ) from error
    return settings(asked.stdout, os.environ)


def _named(texts: Mapping[str, str]) -> Iterable[tuple[list[str], list[str]]]:
    """URIs and suites of each source of binary packages with the component main."""
    for name, text in texts.items():
        if name.endswith(".list"):
            for line in text.splitlines():
                match = _ONE_LINE.match(line.strip())
                if match and "main" in match["components"].split():
                    yield [match["uri"]], [match["suite"]]
        else:
            for stanza in re.split(r"\n\s*\n", text):
                fields = {
                    key.strip().lower(): value.split()
                    for key, _, value in (
                        line.partition(":") for line in stanza.splitlines() if not line.startswith(("#", " ", "\t"))
                    )
                }
                wanted = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
                if wanted and fields.get("enabled", ["yes"]) != ["no"]:
                    yield fields.get("uris", []), fields.get("suites", [])


def _stanza(distribution: Distribution, uris: list[str], suites: list[str]) -> str:
    return (
        f"Types: deb\nURIs: {' '.join(uris)}\nSuites: {' '.join(suites)}\nComponents: main\n"
        f"Signed-By: {distribution.keyring}\n"
    )
