"""What ``hosts trust`` knows of the hosts' keys, and what it makes of it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clusterctl.cli.options import this_command
from clusterctl.errors import ClusterctlError, ConnectError, Refused, SeveralErrors
from clusterctl.model.inventory import Host, Inventory
from clusterctl.remote import known_hosts
from clusterctl.remote.known_hosts import HostKey, Known, KnownHosts
from clusterctl.report.progress import Progress
from clusterctl.report.words import names

State = Literal["new", "known", "changed", "revoked"]


@dataclass(frozen=True)
class Shown:
    """The keys that a host shows, beside those that we know of it."""

    host: Host
    port: int
    keys: tuple[HostKey, ...]
    known: Known

    @property
    def state(self) -> State:
        """Whether this is the host we know. A key of one more type makes no difference."""
        if any(key in self.known.revoked for key in self.keys):
            return "revoked"
        if not self.known.keys:
            return "new"
        of_type = {key.type: key for key in self.keys}
        compared = [known == of_type[known.type] for known in self.known.keys if known.type in of_type]
        return "known" if compared and all(compared) else "changed"


@dataclass(frozen=True)
class Look:
    """What the hosts showed, and which of them did not answer."""

    inventory: Inventory
    file: KnownHosts
    shown: tuple[Shown, ...]
    unreachable: tuple[ClusterctlError, ...]

    @property
    def path(self) -> Path:
        """The file that records the keys."""
        return self.file.path

    @property
    def to_record(self) -> tuple[Shown, ...]:
        """The hosts whose keys are not recorded yet."""
        return tuple(shown for shown in self.shown if shown.state in ("new", "changed"))

    def rows(self) -> list[tuple[str, ...]]:
        """One row for each key: host, address, type, fingerprint, and what is known of the host."""
        return [
            (shown.host.name, shown.host.address, key.type, key.fingerprint, shown.state)
            for shown in self.shown
            for key in shown.keys
        ]

    def as_json(self) -> list[dict[str, object]]:
        """The same as JSON values, as it was before anything was recorded."""
        return [
            {
                "host": shown.host.name,
                "address": shown.host.address,
                "port": shown.port,
                "state": shown.state,
                "keys": [{"type": key.type, "fingerprint": key.fingerprint} for key in shown.keys],
            }
            for shown in self.shown
        ]

    def refuse_doubtful(self, *, replace: bool) -> None:
        """Raise Refused for keys that two hosts share, revoked ones, and changed ones unless ``replace``."""
        doubts = [*self._clones(), *self._revoked(), *(() if replace else self._changed())]
        if doubts:
            raise doubts[0] if len(doubts) == 1 else SeveralErrors(doubts)

    def record(self) -> None:
        """Record what is new; what was known of a host that changed is forgotten."""
        for shown in self.to_record:
            self.file.record(shown.host.address, shown.port, shown.keys, replace=shown.state == "changed")

    def raise_unreachable(self) -> None:
        """Raise the errors of the hosts that did not answer."""
        if self.unreachable:
            raise self.unreachable[0] if len(self.unreachable) == 1 else SeveralErrors(self.unreachable)

    def _clones(self) -> Iterator[Refused]:
        holders: dict[HostKey, list[str]] = {}
        for shown in self.shown:
            for key in shown.keys:
                holders.setdefault(key, []).append(shown.host.name)
        fresh = {shown.host.name for shown in self.shown}
        for host in self.inventory.hosts:
            if host.name not in fresh:
                for key in self.file.lookup(host.address, port_of(self.inventory, host)).keys:
                    if key in holders:
                        holders[key].append(host.name)
        for group in dict.fromkeys(tuple(group) for group in holders.values() if len(group) > 1):
            yield Refused(
                f"{names(group)} have the same host key: they are copies of one machine, or one machine with two "
                "addresses. Nothing was recorded.",
                details="\n".join(str(key) for key, held_by in holders.items() if tuple(held_by) == group),
                resolution="on each copy: sudo rm /etc/ssh/ssh_host_*_key* /etc/machine-id && sudo ssh-keygen -A && "
                "sudo systemd-machine-id-setup && sudo reboot; then run the command again",
            )

    def _revoked(self) -> Iterator[Refused]:
        for shown in self.shown:
            if shown.state == "revoked":
                yield Refused(
                    f"{shown.host.name}: {self.path} says that this host key is revoked. Nothing was recorded.",
                    details="\n".join(str(key) for key in shown.keys if key in shown.known.revoked),
                    resolution="find out why; give the host new keys, or take the @revoked line out of the file",
                )

    def _changed(self) -> Iterator[Refused]:
        for shown in self.shown:
            if shown.state == "changed":
                was = "\n".join(f"known: {key}" for key in shown.known.keys)
                now = "\n".join(f"shown: {key}" for key in shown.keys)
                yield Refused(
                    f"{shown.host.name}: the host key is not the one in {self.path}. Nothing was recorded.",
                    details=f"{was}\n{now}",
                    resolution="find out why; if the machine was installed again: "
                    + this_command("hosts", "trust", "--replace", shown.host.name),
                )


def look_at_keys(inventory: Inventory, wanted: Sequence[str]) -> Look:
    """Ask the ``wanted`` hosts, or all, for their keys; nothing is recorded."""
    hosts = tuple(inventory.host(name) for name in dict.fromkeys(wanted)) or inventory.hosts
    file = KnownHosts(inventory.ssh.known_hosts)

    with Progress("asking for the host keys of", [host.name for host in hosts]) as progress:

        def one(host: Host) -> Shown | ClusterctlError:
            port = port_of(inventory, host)
            try:
                keys = tuple(known_hosts.fetch_host_keys(host.address, port))
                return Shown(host, port, keys, file.lookup(host.address, port))
            except ConnectError as error:
                what = f"{host.name}: {error.what.removeprefix(f'{host.address}: ')}"
                return ConnectError(what, details=error.details, resolution=error.resolution)
            finally:
                progress.done(host.name)

        with ThreadPoolExecutor(max_workers=min(64, len(hosts))) as pool:
            answers = list(pool.map(one, hosts))
    return Look(
        inventory,
        file,
        tuple(answer for answer in answers if isinstance(answer, Shown)),
        tuple(answer for answer in answers if isinstance(answer, ClusterctlError)),
    )


def port_of(inventory: Inventory, host: Host) -> int:
    """The SSH port of ``host``."""
    return host.port or inventory.ssh.port
