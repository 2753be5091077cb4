"""Look at a host: the probe's script there, its facts here."""

import time
from collections.abc import Mapping
from dataclasses import replace

from clusterctl import render
from clusterctl.model.facts import HostFacts, clock_of, parse_host_facts
from clusterctl.remote.connection import Connection


def look(connection: Connection, values: Mapping[str, object]) -> HostFacts:
    """Read the facts of a host; ``values`` are those of ``templates/facts.sh.j2``.

    Raises ConnectError, CommandFailed when the probe fails, ClusterctlError when its answer cannot be read.
    """
    script = render.probe(**values)
    sent = time.time()
    text = connection.read(script)
    return replace(parse_host_facts(text), clock=clock_of(text, sent, time.time()))
