"""What is known about a lab between two commands: files below the user's state directory, and a lock.

``labs/NAME/lab.json`` is written before anything on the machine is changed, so that whatever interrupts a
command, the next one knows what to clear away.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from clusterctl.errors import InputError, Refused
from clusterctl.lab.lock import Held, exclusive
from clusterctl.lab.network import Network
from clusterctl.lab.process import read_record, write_record
from clusterctl.lab.shape import Machine

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Served:
    """Where a lab built from modules serves packages and images."""

    packages: int
    registry: int
    key_fingerprint: str


@dataclass(frozen=True, slots=True)
class State:
    """One lab. ``served`` is None when the machines use the official sources.

    ``boot`` names the boot of this computer in which the lab was started; ``complete`` is False while it is
    being started, and stays so when that is interrupted. ``virtual_ip`` is the address of the endpoint of a lab that
    began with several control planes, else empty: a cluster's endpoint stays what it was.
    """

    name: str
    kubernetes: str
    network: Network
    rootfs: Path
    boot: str
    cgroup_version: int
    machines: tuple[Machine, ...]
    served: Served | None = None
    virtual_ip: str = ""
    complete: bool = False

    @property
    def sources(self) -> str:
        """``modules`` or ``official``."""
        return "official" if self.served is None else "modules"

    @property
    def is_leftover(self) -> bool:
        """Whether this computer was rebooted, or ``lab up`` interrupted, since."""
        return not self.complete or self.boot != this_boot()

    def started(self) -> "State":
        """Return the lab with everything running."""
        return replace(self, complete=True)


def to_json(state: State) -> dict[str, Any]:
    """Return the lab as its file holds it."""
    return {"schema": SCHEMA, **asdict(state), "rootfs": str(state.rootfs)}


def from_json(record: dict[str, Any], source: Path) -> State:
    """Read what ``to_json`` made. Raises InputError for a file of another version of clusterctl."""
    if record.get("schema") != SCHEMA:
        raise InputError(
            f"{source} was written by another version of clusterctl",
            resolution="take the lab down with that version",
        )
    values = {key: value for key, value in record.items() if key != "schema"}
    try:
        served = values.pop("served")
        return State(
            **{
                **values,
                "network": Network(**values["network"]),
                "rootfs": Path(values["rootfs"]),
                "machines": tuple(Machine(**machine) for machine in values["machines"]),
                "served": None if served is None else Served(**served),
            }
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{source} is damaged: {error!r}", resolution=f"rm -r {source.parent}") from error


class Directory:
    """The files of one lab."""

    def __init__(self, name: str, root: Path | None = None) -> None:
        self.name = name
        self.labs = root or root_directory()
        self.path = self.labs / name
        self.key = self.path / "id_ed25519"
        self.known_hosts = self.path / "known_hosts"
        self.inventory = self.path / "inventory.yaml"
        self.repository_key = self.path / "repository-key.asc"
        self.packages = self.path / "packages.json"
        self.registry = self.path / "registry.json"
        self.cuts = self.path / "cuts.json"

    def machine(self, name: str) -> Path:
        """Return the directory of one machine."""
        return self.path / "machines" / name

    def load(self) -> State | None:
        """Return the lab, or None when there is none."""
        file = self.path / "lab.json"
        record = read_record(file)
        return from_json(record, file) if record else None

    def save(self, state: State) -> None:
        """Write the lab down, for its owner's eyes only."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_record(self.path / "lab.json", to_json(state))

    def remove(self) -> None:
        """Delete all files of the lab, the one that says it exists last."""
        for path in self.path.iterdir():
            if path.name != "lab.json":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other command off this lab. Raises Refused when one is at work."""
        self.labs.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with exclusive(self.labs / f".{self.name}.lock", wait=False):
                yield
        except Held as held:
            raise Refused(
                f"another command is at work on lab {self.name!r} (process {held.by})",
                resolution="wait until it is done; then run the same command again",
            ) from None


def root_directory() -> Path:
    """Return where all labs of this user are."""
    return Path(platformdirs.user_state_dir("clusterctl")) / "labs"


def names() -> tuple[str, ...]:
    """Return the names of the labs there are."""
    return tuple(sorted(path.parent.name for path in root_directory().glob("*/lab.json")))


def this_boot() -> str:
    """Return what names the current boot of this computer."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
