"""Which host keys we trust: OpenSSH's known_hosts, read once per run and asked for every host.

The file is read without paramiko, which would parse every key of it: only the keys of our hosts matter.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Literal

from clusterctl.errors import HostKeyError, InputError

_DEFAULT_PORT = 22
_HASH_MARK = "|1|"

Verdict = Literal["known", "unknown", "changed", "revoked"]


@dataclass(frozen=True, slots=True)
class HostKey:
    """A server's public key: its type, such as ``ssh-ed25519``, and its bytes on the wire."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ``ssh-keygen -l`` shows it: ``SHA256:`` and 43 characters."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The signature algorithms by which a server proves that it holds this key."""
        return ("rsa-sha2-512", "rsa-sha2-256") if self.type == "ssh-rsa" else (self.type,)

    @property
    def base64(self) -> str:
        """The key as known_hosts holds it."""
        return base64.b64encode(self.blob).decode()

    def __str__(self) -> str:
        return f"{self.type} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Known:
    """What known_hosts says of one host: the keys it may show, and keys that nobody may trust any more."""

    keys: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()

    def judge(self, key: HostKey) -> Verdict:
        """Say whether a server that shows ``key`` is the host we know."""
        if key in self.revoked:
            return "revoked"
        if not self.keys:
            return "unknown"
        return "known" if key in self.keys else "changed"

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The signature algorithms to ask the server for first: those of the keys that we know."""
        return tuple(dict.fromkeys(name for key in self.keys for name in key.algorithms))


@dataclass(frozen=True, slots=True)
class _Line:
    """One readable line. ``names`` are as written; ``hashed`` is a salt and the name's HMAC under it."""

    number: int
    marker: str
    names: tuple[str, ...]
    hashed: tuple[bytes, bytes] | None
    key: HostKey

    def matches(self, name: str) -> bool:
        if self.hashed:
            salt, digest = self.hashed
            return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
        if any(_like(pattern[1:], name) for pattern in self.names if pattern.startswith("!")):
            return False
        return any(_like(pattern, name) for pattern in self.names)


@dataclass(slots=True)
class _Table:
    """The lines of a file; those with plain names only are found by name, without looking at the others."""

    by_name: dict[str, list[_Line]] = field(default_factory=dict)
    others: list[_Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def lines(self, name: str) -> list[_Line]:
        return self.by_name.get(name, []) + [line for line in self.others if line.matches(name)]


class KnownHosts:
    """A known_hosts file at ``path``; a file that does not exist knows nobody.

    ``problems`` names the lines that could not be read. Raises InputError when the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        self._table = _parse(self._read(), str(path))

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each line that was skipped."""
        return tuple(self._table.problems)

    def lookup(self, address: str, port: int = _DEFAULT_PORT) -> Known:
        """What is known of the server at ``address`` and ``port``."""
        lines = self._table.lines(_name(address, port))
        return Known(
            keys=tuple(dict.fromkeys(line.key for line in lines if not line.marker)),
            revoked=tuple(dict.fromkeys(line.key for line in lines if line.marker == "@revoked")),
        )

    def record(self, address: str, port: int, keys: Sequence[HostKey], *, replace: bool = False) -> None:
        """Trust ``keys`` for the server at ``address`` and ``port``, on disk and from now on in this object.

        ``replace`` forgets the keys that the server had before. A new file gets mode 0600 in a directory of mode
        0700. Other programs see the old file or the new one, never a part. Raises InputError when it cannot be
        written.
        """
        name = _name(address, port)
        text = self._read()
        if replace:
            text = _forget(text, name, self._table)
        known = () if replace else self.lookup(address, port).keys
        if text and not text.endswith("\n"):
            text += "\n"
        text += "".join(f"{name} {key.type} {key.base64}\n" for key in keys if key not in known)
        try:
            _write(self.path, text)
        except OSError as error:
            raise InputError(
                f"cannot write the known hosts {self.path}: {error.strerror}",
                resolution="make the file writable, or name another one in the inventory: ssh.known_hosts",
            ) from error
        self._table = _parse(text, str(self.path))

    def _read(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise InputError(
                f"cannot read the known hosts {self.path}: {error.strerror}",
                resolution="make the file readable, or name another one in the inventory: ssh.known_hosts",
            ) from error


def _name(address: str, port: int) -> str:
    """A server's name in known_hosts."""
    address = address.lower()
    return address if port == _DEFAULT_PORT else f"[{address}]:{port}"


def _like(pattern: str, name: str) -> bool:
    """Whether ``name`` is what OpenSSH's pattern with ``*`` and ``?`` means; brackets stand for themselves."""
    if pattern.startswith("!"):
        return False
    return re.fullmatch(translate(pattern.lower().replace("[", "[[]")), name) is not None


def _parse(text: str, source: str) -> _Table:
    table = _Table()
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        line = _parse_line(number, raw)
        if line is None:
            table.problems.append(f"{source}:{number} is not a host key")
        elif line.marker == "@cert-authority":
            table.problems.append(f"{source}:{number} trusts a certificate authority, which clusterctl cannot check")
        elif line.hashed or any(set(name) & set("*?!") for name in line.names):
            table.others.append(line)
        else:
            for name in line.names:
                table.by_name.setdefault(name.lower(), []).append(line)
    return table


def _parse_line(number: int, raw: str) -> _Line | None:
    fields = raw.split()
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3 or marker not in ("", "@revoked", "@cert-authority"):
        return None
    names, type_, encoded = fields[:3]
    try:
        blob = base64.b64decode(encoded, validate=True)
        hashed = _hashed(names) if names.startswith("|") else None
    except (binascii.Error, ValueError):
        return None
    prefix = len(type_).to_bytes(4, "big") + type_.encode(errors="replace")
    if not blob.startswith(prefix):
        return None
    return _Line(number, marker, tuple(filter(None, names.split(","))), hashed, HostKey(type_, blob))


def _hashed(name: str) -> tuple[bytes, bytes]:
    if not name.startswith(_HASH_MARK):
        raise ValueError("an unknown kind of hash")
    salt, digest = name.removeprefix(_HASH_MARK).split("|")
    return base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)


def _forget(text: str, name: str, table: _Table) -> str:
    """``text`` without the keys of ``name``; what a line says of other hosts, and what is revoked, stays."""
    gone = {line.number: line for line in table.lines(name) if not line.marker}
    kept = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = gone.get(number)
        if line is None:
            kept.append(raw)
            continue
        others = [other for other in line.names if not line.hashed and other.lower() != name]
        if not others:
            continue
        if any(_like(other, name) for other in others):
            others.append(f"!{name}")
        kept.append(f"{','.join(others)} {raw.split(None, 1)[1]}")
    return "".join(f"{raw}\n" for raw in kept)


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # A link stays a link.
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class Gate:
    """Lets in a server whose key we know. paramiko asks it about every key, since we give it no known hosts.

    ``host`` and ``place`` are for errors; ``shown`` gives the key that the server has proved to hold.
    """

    def __init__(self, host: str, place: str, hosts: KnownHosts, known: Known, shown: Callable[[], HostKey]) -> None:
        self.passed = False
        self._host = host
        self._place = place
        self._hosts = hosts
        self._known = known
        self._shown = shown

    def missing_host_key(self, *_: object) -> None:
        """Raise HostKeyError unless the key that the server has proved to hold is one that we know."""
        key = self._shown()
        match self._known.judge(key):
            case "known":
                self.passed = True
            case "unknown":
                raise self._unknown(key)
            case "revoked":
                raise self._revoked(key)
            case "changed":
                raise self._changed(key)

    def _unknown(self, key: HostKey) -> HostKeyError:
        return HostKeyError(
            f"{self._host}: the host key of {self._place} is not known",
            details="\n".join([f"it shows {key}", *self._hosts.problems]),
            resolution=f"clusterctl hosts trust {self._host}",
        )

    def _revoked(self, key: HostKey) -> HostKeyError:
        return HostKeyError(
            f"{self._host}: {self._place} shows a host key that is revoked: somebody may be intercepting",
            details=f"it shows {key}, which {self._hosts.path} marks as @revoked",
            resolution=f"do not connect; find out on the console of {self._host} who holds that key",
        )

    def _changed(self, key: HostKey) -> HostKeyError:
        return HostKeyError(
            f"{self._host}: THE HOST KEY OF {self._place} HAS CHANGED: the host was installed again, or somebody is "
            "intercepting the connection",
            details="\n".join([f"it shows {key}", *(f"{self._hosts.path} has {other}" for other in self._known.keys)]),
            resolution=f"compare on the console of {self._host}: for f in /etc/ssh/ssh_host_*_key.pub; do "
            f"ssh-keygen -lf $f; done; only if it is the same key: clusterctl hosts trust --replace {self._host}",
        )


def key_order(known: Known, usual: Iterable[str]) -> tuple[str, ...]:
    """``usual`` algorithms, those of the keys that we know first: else a host known by its RSA key seems unknown."""
    usual = tuple(usual)
    first = tuple(name for name in known.algorithms if name in usual)
    return first + tuple(name for name in usual if name not in first)
