"""The operator's lock: held on every control plane that is reached, as long as the session lasts."""

import os
import threading
from contextlib import suppress

from clusterctl.errors import ConnectError
from clusterctl.model.inventory import Host
from clusterctl.session.call import Call, operator
from clusterctl.session.world import Hold, World


class Locks:
    """The holds of one session. Safe to use from several threads.

    The lock is taken on all control planes that are reached, in the inventory's order: two operators who reach one of
    them in common exclude each other, whichever hosts are down.
    """

    def __init__(self, world: World, call: Call) -> None:
        self._world = world
        self._call = call
        self._run = os.urandom(16).hex()
        self._holds: dict[str, tuple[Host, Hold]] = {}
        self._lock = threading.Lock()

    def take(self, host: Host) -> None:
        """Take the lock on a control plane, unless it is ours already. Raises Refused when somebody else has it."""
        if host.name in self._holds and self._holds[host.name][1].alive:
            return
        hold = self._world.hold(host, run=self._run, operator=operator(), command=self._call.text)
        self._holds[host.name] = (host, hold)

    def keep(self) -> None:
        """Take the lock again where the connection that held it broke. Raises Refused when somebody else has it now."""
        with self._lock:
            for host, hold in list(self._holds.values()):
                if not hold.alive:
                    with suppress(ConnectError):
                        self.take(host)

    def close(self) -> None:
        """Give the lock back."""
        for _, hold in self._holds.values():
            hold.close()
