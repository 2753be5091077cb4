"""How each SSH server is reached: as the inventory says, else as OpenSSH's configuration says, else as is usual."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.errors import InputError
from clusterctl.model.inventory import Bastion, Host, Ssh

if TYPE_CHECKING:
    from paramiko import SSHConfig

_USER = "root"
_PORT = 22
_KEY = Path("~/.ssh/id_ed25519")
# OpenSSH has the same limit for files that include each other.
_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one SSH server; ``name`` is what errors call it, ``via`` the bastion before it.

    ``command`` is a ProxyCommand, whose standard input and output lead there instead of a connection of ours.
    """

    name: str
    address: str
    port: int
    user: str
    key: Path
    via: "Way | None" = None
    command: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.address}"

    @property
    def bastions(self) -> "tuple[Way, ...]":
        """The servers on the way, the first one first."""
        return (*self.via.bastions, self.via) if self.via else ()


class Ways:
    """The ways to the hosts of an inventory. Its file of OpenSSH's is read once. Safe to use from threads."""

    def __init__(self, ssh: Ssh) -> None:
        self._ssh = ssh
        self._lock = threading.Lock()
        self._text: str | None = None
        self._configs: dict[str, SSHConfig] = {}

    def to(self, host: Host) -> Way:
        """The way to ``host``. Raises InputError when OpenSSH's configuration cannot be understood."""
        ssh = self._ssh
        found = self._lookup(host.address, host.user or ssh.user, host.port or ssh.port)
        address = found.get("hostname", host.address)
        port = self._port(found, host.address)
        via = self._bastion(ssh.bastion) if ssh.bastion else self._jumps(found, ())
        if via and (via.address, via.port) == (address, port):
            via = via.via  # The bastion itself is one of the hosts.
        return Way(
            name=host.name,
            address=address,
            port=port,
            user=found.get("user", _USER),
            key=ssh.key or _identity(found) or _KEY,
            via=via,
            command="" if ssh.bastion or via else found.get("proxycommand", ""),
        )

    def _bastion(self, bastion: Bastion, via: Way | None = None, seen: Sequence[str] = ()) -> Way:
        """The way to a bastion; ``via`` when something comes before it that its own configuration does not say."""
        ssh, found = self._ssh, self._lookup(bastion.address, bastion.user, bastion.port)
        if bastion.address in seen:
            raise InputError(
                f"{ssh.config}: ProxyJump goes in a circle: {' '.join([*seen, bastion.address])}",
                resolution=f"see what OpenSSH makes of it: ssh -G {bastion.address}",
            )
        via = via or self._jumps(found, (*seen, bastion.address))
        return Way(
            name=bastion.address,
            address=found.get("hostname", bastion.address),
            port=self._port(found, bastion.address),
            user=found.get("user") or ssh.user or _USER,
            key=bastion.key or _identity(found) or ssh.key or _KEY,
            via=via,
            command="" if via else found.get("proxycommand", ""),
        )

    def _jumps(self, found: Mapping[str, Any], seen: Sequence[str]) -> Way | None:
        """The bastions that ``ProxyJump`` names, each through the one before."""
        via = None
        words = str(found.get("proxyjump") or "none")
        for word in words.split(",") if words.lower() != "none" else ():
            user, _, place = word.strip().removeprefix("ssh://").rpartition("@")
            address, port = _split(place)
            if not address or (port and not port.isdigit()):
                raise InputError(f"{self._ssh.config}: ProxyJump {word} is not [USER@]HOST[:PORT]")
            jump = Bastion.model_construct(address=address, user=user or None, port=int(port) if port else None)
            via = self._bastion(jump, via, seen)
        return via

    def _port(self, found: Mapping[str, Any], address: str) -> int:
        port = str(found.get("port", _PORT))
        if not port.isdigit():
            raise InputError(f"{self._ssh.config}: Port {port} of {address} is not a number")
        return int(port)

    def _lookup(self, address: str, user: str | None, port: int | None) -> Mapping[str, Any]:
        """What OpenSSH makes of ``address``, and of a user and a port that are given to it. Raises InputError."""
        given = {"user": user} if user else {}
        given |= {"port": str(port)} if port else {}
        with self._lock:
            if self._text is None:
                self._text = _text(self._ssh.config.expanduser())
            if not self._text:
                return given
            # What comes first counts, and is what a ProxyCommand is told.
            first = "".join(f"{key} {value}\n" for key, value in given.items())
            if first not in self._configs:
                self._configs[first] = _parse(self._ssh.config, first + self._text)
            try:
                return self._configs[first].lookup(address)
            except Exception as error:  # paramiko raises KeyError, ValueError and others for what it does not expect.
                raise _unreadable(self._ssh.config, error) from error


def _text(path: Path) -> str:
    """OpenSSH's configuration in ``path`` and what it includes; nothing when there is none."""
    try:
        return "\n".join(_lines(path, path.parent, 0)) if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _parse(path: Path, text: str) -> "SSHConfig":
    from paramiko import SSHConfig

    try:
        return SSHConfig.from_text(text)
    except Exception as error:  # As above.
        raise _unreadable(path, error) from error


def _lines(path: Path, folder: Path, depth: int) -> Iterator[str]:
    """The lines of ``path``, with those of the files that it includes before its first Host or Match."""
    if depth > _DEPTH:
        raise InputError(f"{path}: too many files include each other")
    general = True
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        general = general and key.lower() not in ("host", "match")
        if key.lower() != "include" or not general:
            yield line
            continue
        for pattern in rest.split():
            pattern = str(Path(pattern.strip('"')).expanduser())
            for included in sorted(Path("/").glob(pattern[1:]) if pattern.startswith("/") else folder.glob(pattern)):
                yield from _lines(included, folder, depth + 1)
        yield "Host *"


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"cannot understand {path}: {str(error) or type(error).__name__}",
        resolution="correct it, or leave it out: ssh: {config: /dev/null} in the inventory",
    )


def _identity(found: Mapping[str, Any]) -> Path | None:
    """The first of the configured keys that is there, else the first one."""
    files = [Path(name) for name in found.get("identityfile", ())]
    return next((file for file in files if file.expanduser().is_file()), files[0] if files else None)


def _split(place: str) -> tuple[str, str]:
    """``HOST``, ``HOST:PORT``, ``[ADDRESS]:PORT`` or an IPv6 address, as address and port."""
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        return address, port.removeprefix(":")
    if place.count(":") > 1:
        return place, ""
    address, _, port = place.partition(":")
    return address, port
