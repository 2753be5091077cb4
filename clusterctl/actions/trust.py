"""What ``hosts trust`` knows of the hosts' keys, and what it makes of it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from clusterctl.errors import ClusterctlError, ConnectError, Refused, SeveralErrors
from clusterctl.model.inventory import Inventory
from clusterctl.remote import handshake
from clusterctl.remote.bastion import Bastions
from clusterctl.remote.known_hosts import HostKey, Known, KnownHosts
from clusterctl.remote.login import Login
from clusterctl.remote.way import Way
from clusterctl.report.progress import Progress
from clusterctl.report.words import names
from clusterctl.session.call import Call

State = Literal["new", "known", "changed", "revoked"]


@dataclass(frozen=True)
class Shown:
    """The keys that a host shows, beside those that we know of it."""

    way: Way
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
    login: Login
    shown: tuple[Shown, ...]
    unreachable: tuple[ClusterctlError, ...]
    call: Call

    @property
    def file(self) -> KnownHosts:
        """The host keys that we trust."""
        return self.login.known_hosts

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
            (shown.way.name, shown.way.address, key.type, key.fingerprint, shown.state)
            for shown in self.shown
            for key in shown.keys
        ]

    def as_json(self) -> list[dict[str, object]]:
        """The same as JSON values, as it was before anything was recorded."""
        return [
            {
                "host": shown.way.name,
                "address": shown.way.address,
                "port": shown.way.port,
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
            self.file.record(shown.way.address, shown.way.port, shown.keys, replace=shown.state == "changed")

    def raise_unreachable(self) -> None:
        """Raise the errors of the hosts that did not answer."""
        if self.unreachable:
            raise self.unreachable[0] if len(self.unreachable) == 1 else SeveralErrors(self.unreachable)

    def _clones(self) -> Iterator[Refused]:
        # A bastion may be one of the hosts at another address.
        names_of_hosts = {host.name for host in self.inventory.hosts}
        holders: dict[HostKey, list[str]] = {}
        for shown in self.shown:
            if shown.way.name not in names_of_hosts:
                continue
            for key in shown.keys:
                holders.setdefault(key, []).append(shown.way.name)
        fresh = {shown.way.name for shown in self.shown}
        for host in self.inventory.hosts:
            if host.name not in fresh:
                way = self.login.ways.to(host)
                for key in self.file.lookup(way.address, way.port).keys:
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
                    f"{shown.way.name}: {self.path} says that this host key is revoked. Nothing was recorded.",
                    details="\n".join(str(key) for key in shown.keys if key in shown.known.revoked),
                    resolution="find out why; give the host new keys, or take the @revoked line out of the file",
                )

    def _changed(self) -> Iterator[Refused]:
        for shown in self.shown:
            if shown.state == "changed":
                was = "\n".join(f"known: {key}" for key in shown.known.keys)
                now = "\n".join(f"shown: {key}" for key in shown.keys)
                yield Refused(
                    f"{shown.way.name}: the host key is not the one in {self.path}. Nothing was recorded.",
                    details=f"{was}\n{now}",
                    resolution="find out why; if the machine was installed again: "
                    + self.call.command("hosts", "trust", "--replace", shown.way.name),
                )


def looks(inventory: Inventory, wanted: Sequence[str], call: Call) -> Iterator[Look]:
    """Ask the ``wanted`` hosts and bastions, or all, for their keys; nothing is recorded.

    Bastions come first, each look one further away: a host behind one is asked through it, once its own key is
    known. Bastions that are known are asked when they are named.
    """
    login = Login(inventory.ssh)
    ways = {host.name: login.ways.to(host) for host in inventory.hosts}
    bastions = {bastion.name: bastion for way in ways.values() for bastion in way.bastions}
    asked = [ways.get(name) or bastions.get(name) or ways[inventory.host(name).name] for name in dict.fromkeys(wanted)]
    ahead = dict.fromkeys(bastion for way in asked or ways.values() for bastion in way.bastions)
    first = [way for way in ahead if not login.known_hosts.lookup(way.address, way.port).keys or way in asked]
    with closing(Bastions(login)) as opened:
        for _, alike in groupby(sorted(first, key=_distance), key=_distance):
            yield _look(inventory, login, opened, tuple(alike), call)
        rest = tuple(way for way in asked or ways.values() if way not in first)
        if rest:
            yield _look(inventory, login, opened, rest, call)


def _distance(way: Way) -> int:
    return len(way.bastions)


def _look(inventory: Inventory, login: Login, bastions: Bastions, ways: Sequence[Way], call: Call) -> Look:
    with Progress("asking for the host keys of", [way.name for way in ways]) as progress:

        def one(way: Way) -> Shown | ClusterctlError:
            try:
                keys = tuple(handshake.fetch_host_keys(way, bastions.wire))
                return Shown(way, keys, login.known_hosts.lookup(way.address, way.port))
            except ConnectError as error:
                return error
            finally:
                progress.done(way.name)

        with ThreadPoolExecutor(max_workers=min(64, len(ways))) as pool:
            answers = list(pool.map(one, ways))
    return Look(
        inventory,
        login,
        tuple(answer for answer in answers if isinstance(answer, Shown)),
        tuple(dict.fromkeys(answer for answer in answers if isinstance(answer, ClusterctlError))),
        call,
    )
