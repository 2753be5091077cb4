"""Look at a host: the probe's script there, its facts here."""

import time
from dataclasses import replace

from clusterctl.model.facts import HostFacts, clock_of, parse_host_facts
from clusterctl.remote.connection import Connection
from clusterctl.render import Script


def look(connection: Connection, script: Script) -> HostFacts:
    """Read the facts of a host; ``script`` is a ``render.probe``.

    Raises ConnectError, CommandFailed when the probe fails, ClusterctlError when its answer cannot be read.
    """
    sent = time.time()
    text = connection.read(script)
    return replace(parse_host_facts(text), clock=clock_of(text, sent, time.time()))
