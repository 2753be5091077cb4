"""What a lab is asked to be: names, addresses and roles of its machines, and whether it has to change."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Literal

from clusterctl.errors import InputError, Refused
from clusterctl.lab.network import Network, Taken, candidates, free

Role = Literal["control-plane", "worker"]
DEFAULT_KUBERNETES = "1.36.3"
MOST_CONTROL_PLANES = 9
MOST_WORKERS = 200

VIRTUAL_IP = 10
"""The number of the address that no machine has: the endpoint's, where there are several control planes."""

_FIRST_CONTROL_PLANE = 11
_FIRST_WORKER = 21
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_VERSION = re.compile(r"1\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class Shape:
    """What somebody wants of a lab. None: what a running lab has already, or the default of a new one."""

    name: str = "lab"
    control_planes: int | None = None
    workers: int | None = None
    kubernetes: str | None = None
    sources: Literal["auto", "official", "modules"] = "auto"
    subnet: str | None = None

    def check(self) -> None:
        """Raise InputError when no lab can have this shape."""
        check_name(self.name)
        if self.control_planes is not None and not 1 <= self.control_planes <= MOST_CONTROL_PLANES:
            raise InputError(
                f"a lab cannot have {self.control_planes} control planes",
                resolution=f"ask for 1 to {MOST_CONTROL_PLANES}",
            )
        if self.workers is not None and not 0 <= self.workers <= MOST_WORKERS:
            raise InputError(f"a lab cannot have {self.workers} workers", resolution=f"ask for 0 to {MOST_WORKERS}")
        if self.kubernetes is not None and not _VERSION.fullmatch(self.kubernetes):
            raise InputError(
                f"{self.kubernetes!r} is not a version of Kubernetes",
                resolution=f"give a full version such as {DEFAULT_KUBERNETES}",
            )
        if self.subnet is not None:
            asked_network(self.subnet)


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of a lab."""

    name: str
    role: Role
    address: str


def check_name(name: str) -> None:
    """Raise InputError when a lab cannot have this name."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a lab",
            resolution="use up to 20 lower-case letters, digits and '-', a letter first",
        )


def machines(network: Network, control_planes: int, workers: int) -> tuple[Machine, ...]:
    """Return the machines of a lab, control planes first."""
    return (
        *(
            Machine(f"cp{number + 1}", "control-plane", network.address(_FIRST_CONTROL_PLANE + number))
            for number in range(control_planes)
        ),
        *(Machine(f"w{number + 1}", "worker", network.address(_FIRST_WORKER + number)) for number in range(workers)),
    )


def grown(shape: Shape, network: Network, present: Sequence[Machine]) -> tuple[Machine, ...]:
    """Return the machines that a running lab has after ``shape`` was asked of it.

    Raises Refused when that would take a machine away: a node is more than its machine, and removing it is
    the operator's decision.
    """
    control_planes = [machine for machine in present if machine.role == "control-plane"]
    workers = [machine for machine in present if machine.role == "worker"]
    for asked, has, what in (
        (shape.control_planes, len(control_planes), "control planes"),
        (shape.workers, len(workers), "workers"),
    ):
        if asked is not None and asked < has:
            raise Refused(
                f"lab {shape.name!r} has {has} {what}, and `up` takes none away ({asked} asked for)",
                resolution=f"clusterctl lab down --name {shape.name}; then run the same command again",
            )
    return machines(
        network,
        len(control_planes) if shape.control_planes is None else shape.control_planes,
        len(workers) if shape.workers is None else shape.workers,
    )


def asked_network(subnet: str) -> Network:
    """Return the network for a subnet that was asked for; its bridge is named by the third number."""
    try:
        network = IPv4Network(subnet)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InputError(f"{subnet!r} is not a subnet: {error}", resolution="give one such as 10.77.0.0/24") from None
    if network.prefixlen != 24 or not network.is_private:
        raise InputError(f"{subnet} is not a private /24", resolution="give one such as 10.77.0.0/24")
    first, second, third, _ = network.network_address.packed
    number = third if str(network).startswith("10.77.") else f"{first:02x}{second:02x}{third:02x}"
    return Network(str(network), f"cctl{number}")


def choose_network(subnet: str | None, taken: Sequence[Taken], links: Sequence[str]) -> Network:
    """Return the network asked for, or the first one that is free. Raises Refused when there is none."""
    choices = list(candidates()) if subnet is None else [asked_network(subnet)]
    problem = ""
    for network in choices:
        why = free(network, taken, links)
        if not why:
            return network
        problem = problem or why
    raise Refused(
        "the lab has no network to use: " + problem,
        resolution="give another one: clusterctl lab up --subnet 172.30.5.0/24",
    )
