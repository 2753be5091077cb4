"""A lab's network: a bridge with NAT for the lab, a network namespace with one cable for each machine.

The supervisors plug their machine in before every boot, so this module uses the standard library only.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

POOL = IPv4Network("10.77.0.0/16")


@dataclass(frozen=True, slots=True)
class Network:
    """The network of one lab: a /24 behind a bridge."""

    subnet: str
    bridge: str

    @property
    def gateway(self) -> str:
        """The address of the machine that hosts the lab, as the lab's machines see it."""
        return self.address(1)

    def address(self, number: int) -> str:
        """Return an address of the subnet."""
        return str(IPv4Network(self.subnet)[number])


@dataclass(frozen=True, slots=True)
class Cable:
    """How one machine is connected: what ``plug`` needs."""

    namespace: str
    link: str
    bridge: str
    address: str
    gateway: str

    def as_dict(self) -> dict[str, str]:
        """Return the cable for a JSON file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Taken:
    """A range of addresses that something on this machine uses, and what that is."""

    range: IPv4Network
    by: str


def candidates() -> Iterable[Network]:
    """Yield the networks a lab may get, in order of preference."""
    for number, subnet in enumerate(POOL.subnets(new_prefix=24)):
        yield Network(str(subnet), f"cctl{number}")


def free(network: Network, taken: Sequence[Taken], links: Iterable[str]) -> str:
    """Return why a network cannot be used; empty when it can."""
    for other in taken:
        if other.range.overlaps(IPv4Network(network.subnet)):
            return f"{network.subnet} overlaps {other.range}, which {other.by} uses"
    if network.bridge in links:
        return f"a network interface {network.bridge} exists"
    return ""


def parse_taken(addresses: str, routes: str) -> tuple[tuple[Taken, ...], tuple[str, ...]]:
    """Read ``ip -json address`` and ``ip -json route``: the ranges in use, and the names of all links."""
    taken, links = [], []
    for link in json.loads(addresses):
        links.append(link["ifname"])
        for entry in link.get("addr_info", []):
            if entry["family"] == "inet":
                network = IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)
                taken.append(Taken(network, f"interface {link['ifname']}"))
    for route in json.loads(routes):
        if route["dst"] != "default" and ":" not in route["dst"]:
            taken.append(Taken(IPv4Network(route["dst"]), f"a route to {route.get('dev', 'nowhere')}"))
    return tuple(taken), tuple(links)


def observe() -> tuple[tuple[Taken, ...], tuple[str, ...]]:
    """Look at this machine: the ranges in use, and the names of all links."""
    routes = run(["ip", "-json", "-4", "route", "show", "table", "all", "type", "unicast"])
    return parse_taken(run(["ip", "-json", "address"]), routes)


def mac(address: str) -> str:
    """Return the hardware address that belongs to an address, the same after every reboot."""
    return "02:cc:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


# --- One machine -----------------------------------------------------------------------------------------


def plug_text(cable: Cable) -> tuple[str, str]:
    """Return what ``ip -batch`` reads outside the namespace, and then inside."""
    outside = f"""\
netns add {cable.namespace}
link add {cable.link} master {cable.bridge} type veth peer name eth0 netns {cable.namespace}
link set {cable.link} up
"""
    inside = f"""\
link set lo up
link set eth0 address {mac(cable.address)}
address add {cable.address}/24 dev eth0
link set eth0 up
route add default via {cable.gateway}
"""
    return outside, inside


def plug(values: Mapping[str, Any]) -> None:
    """Give a machine a fresh network namespace, as a reboot would."""
    cable = Cable(**values)
    outside, inside = plug_text(cable)
    run(["ip", "-batch", "-"], outside)
    run(["ip", "-netns", cable.namespace, "-batch", "-"], inside)


def unplug(values: Mapping[str, Any]) -> None:
    """Take a machine's network away; nothing happens when there is none."""
    cable = Cable(**values)
    if Path("/sys/class/net", cable.link).exists():
        run(["ip", "link", "delete", cable.link])
    if Path("/run/netns", cable.namespace).exists():
        run(["ip", "netns", "delete", cable.namespace])


# --- The lab ---------------------------------------------------------------------------------------------


def comment(lab: str) -> str:
    """Return the comment on each of a lab's packet filter rules, by which they are found again."""
    return f"clusterctl-lab:{lab}"


def rules(lab: str, network: Network) -> str:
    """Return the packet filter rules of a lab as ``iptables-restore --noflush`` reads them."""
    mark = f'-m comment --comment "{comment(lab)}"'
    return f"""\
*nat
-A POSTROUTING -s {network.subnet} ! -d {network.subnet} {mark} -j MASQUERADE
COMMIT
*filter
-I FORWARD -i {network.bridge} {mark} -j ACCEPT
-I FORWARD -o {network.bridge} {mark} -j ACCEPT
-I INPUT -i {network.bridge} -d {network.gateway} -p tcp {mark} -j ACCEPT
COMMIT
"""


def removal(saved: str, lab: str) -> str:
    """Return what takes a lab's rules, and nothing else, out of ``iptables-save``'s rules."""
    tables: dict[str, list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line
        elif line.startswith("-A") and comment(lab) in line.replace('"', " ").split():
            tables.setdefault(table, []).append("-D" + line[2:])
    return "".join("\n".join([table, *lines, "COMMIT", ""]) for table, lines in tables.items())


def connect(lab: str, network: Network) -> None:
    """Make the bridge and the rules of a lab."""
    batch = f"""\
link add {network.bridge} type bridge
address add {network.gateway}/24 dev {network.bridge}
link set {network.bridge} up
"""
    run(["ip", "-batch", "-"], batch)
    run(["iptables-restore", "--wait", "--noflush"], rules(lab, network))


def disconnect(lab: str, network: Network) -> None:
    """Remove the bridge and the rules of a lab, as many of them as are there."""
    if Path("/sys/class/net", network.bridge, "bridge").exists():
        run(["ip", "link", "delete", network.bridge])
    text = removal(run(["iptables-save"]), lab)
    if text:
        run(["iptables-restore", "--wait", "--noflush"], text)


def run(command: Sequence[str], text: str | None = None) -> str:
    """Run a program and return what it printed; a failure raises CalledProcessError."""
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
