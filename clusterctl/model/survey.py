"""What a host that shall become a node finds around it: ways to the other hosts, the endpoint, its disk.

A second probe (``templates/survey.sh.j2``) prints one line for each question, its words separated by tabs.
``parse_survey`` makes frozen values of them and judges nothing.
"""

from dataclasses import dataclass

from clusterctl.errors import ClusterctlError


@dataclass(frozen=True, slots=True)
class Way:
    """A port of another host, tried from this one.

    ``protocol`` is ``tcp`` or ``udp``. ``problem`` is empty when it is open. ``answered_by`` is the host whose
    listener answered, empty when something else did. ``packet`` is the largest packet, in bytes, that arrived
    unfragmented, ``wanted`` the one that has to; both are 0 when that was not asked.
    """

    peer: str
    protocol: str
    port: int
    problem: str
    answered_by: str = ""
    packet: int = 0
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class EndpointFact:
    """The endpoint, tried from this host at one of its addresses.

    ``problem`` is empty when the connection was taken. ``answered_by`` is the host whose listener answered,
    ``-`` when the connection was closed without a word, ``?`` when it stayed open or said something else.
    """

    address: str
    problem: str
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class Fsync:
    """How long the disk took to make 2 KiB durable, in milliseconds, over ``count`` writes."""

    count: int
    median: float
    p99: float


@dataclass(frozen=True, slots=True)
class Survey:
    """What one host found. ``problem`` says why it could not be asked; all else is empty then.

    ``endpoint`` is None when it was not asked, empty when the name does not resolve. ``registries`` maps image
    registries to why none of their addresses answers, empty when one does. ``virtual_ip_owner`` is the MAC address
    that answered for the virtual IP, empty when none did or it was not asked.
    """

    problem: str = ""
    ways: tuple[Way, ...] = ()
    endpoint: tuple[EndpointFact, ...] | None = None
    registries: tuple[tuple[str, str], ...] = ()
    fsync: Fsync | None = None
    virtual_ip_owner: str = ""


@dataclass(frozen=True, slots=True)
class Listening:
    """The listeners of one host: the process that has them, and the ports that it could bind, as ``tcp/6443``."""

    pid: int
    ports: frozenset[str]


def parse_listening(text: str) -> Listening:
    """Read the answer of the mode ``listen``. Raises ClusterctlError."""
    rows = _rows(text)
    pids = [int(row[1]) for row in rows if row[0] == "pid" and row[1].isdigit()]
    if not pids:
        raise ClusterctlError("no listener was started", details=text[-500:])
    return Listening(pids[0], frozenset(row[1] for row in rows if row[0] == "bound"))


def parse_survey(text: str) -> Survey:
    """Read the answer of the mode ``ask``. Raises ClusterctlError when it is cut off or makes no sense."""
    rows = _rows(text)
    kinds = [row[0] for row in rows]
    if "end" not in kinds:
        raise ClusterctlError("the survey's answer is incomplete", details=text[-500:])
    try:
        fsyncs = [Fsync(int(row[1]), float(row[2]), float(row[3])) for row in rows if row[0] == "fsync"]
        return Survey(
            ways=tuple(
                Way(row[1], row[0], int(row[2]), row[3], row[4], int(row[5]), int(row[6]))
                for row in rows
                if row[0] in ("tcp", "udp")
            ),
            endpoint=tuple(EndpointFact(row[1], row[3], row[4]) for row in rows if row[0] == "endpoint")
            if "asked-endpoint" in kinds
            else None,
            registries=tuple((row[1], row[2]) for row in rows if row[0] == "registry"),
            fsync=fsyncs[0] if fsyncs else None,
            virtual_ip_owner=next((row[1] for row in rows if row[0] == "virtual-ip"), ""),
        )
    except (ValueError, IndexError) as error:
        raise ClusterctlError(f"the survey's answer cannot be read: {error}", details=text[-500:]) from error


def _rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if line.strip()]
