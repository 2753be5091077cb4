"""The proxy: who is told of it, and what is reached without it."""

import ipaddress
import re
from collections.abc import Iterator

from clusterctl.model.inventory import Cluster
from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import File, ScriptStep

APT = "/etc/apt/apt.conf.d/90clusterctl-proxy"
_LOCAL = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")
# apt knows hosts by their names; domains and networks reach it through the environment of our own scripts.
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def environment(cluster: Cluster) -> dict[str, str]:
    """The variables by which programs on a host find the way out; empty without a proxy."""
    return _variables(cluster, (*_LOCAL, cluster.pod_cidr, cluster.service_cidr))


def control_plane_environment(situation: Situation) -> dict[str, str]:
    """The same for kubeadm, which hands it on to the control plane's pods: these also reach the nodes directly.

    A node counts with the network of its interface, so that one which joins later is reached as well.
    """
    cluster = situation.cluster
    endpoint = cluster.endpoint.rpartition(":")[0].strip("[]")
    return _variables(
        cluster, (*_LOCAL, cluster.pod_cidr, cluster.service_cidr, endpoint, *sorted(set(_nodes(situation))))
    )


def _variables(cluster: Cluster, direct: tuple[str, ...]) -> dict[str, str]:
    if cluster.proxy is None:
        return {}
    no_proxy = ",".join(dict.fromkeys((*direct, *cluster.proxy.no_proxy)))
    named = {"http_proxy": cluster.proxy.http, "https_proxy": cluster.proxy.https, "no_proxy": no_proxy}
    lower = {name: value for name, value in named.items() if value}
    return lower | {name.upper(): value for name, value in lower.items()}


def _nodes(situation: Situation) -> Iterator[str]:
    for host in situation.inventory.hosts:
        facts = situation.all_facts.get(host.name)
        address = node_address(host, facts, situation.cluster) if facts else host.internal_address or host.address
        yield address
        link = facts.links.get(address) if facts else None
        if facts is None or link is None:
            continue
        for route in facts.routes:
            if route.device == link.name and "/" in route.destination:
                network = ipaddress.ip_network(route.destination, strict=False)
                if ipaddress.ip_address(address) in network:
                    yield str(network)


class Proxy(ScriptStep):
    """apt takes the way out that the inventory names."""

    name = "os/proxy"
    title = "Tell apt of the proxy"

    def check(self, situation: Situation) -> Verdict:
        """The text of a settings file of our own; others are left alone."""
        wanted, there = self.files(situation), situation.facts.file(APT)
        if not wanted:
            return Needed(f"{APT} names a proxy, and none is wanted") if there is not None else Satisfied("none wanted")
        if there != wanted[0].content:
            return Needed(f"{APT} is missing or differs from what is wanted")
        return Satisfied("apt knows the proxy")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """apt's settings."""
        proxy = situation.cluster.proxy
        if proxy is None:
            return ()
        lines = ["// The proxy of clusterctl's inventory (cluster.proxy)."]
        for scheme, address in (("http", proxy.http), ("https", proxy.https)):
            lines.append(f'Acquire::{scheme}::Proxy "{address or "DIRECT"}";')
            lines += [f'Acquire::{scheme}::Proxy::{name} "DIRECT";' for name in proxy.no_proxy if _HOST.fullmatch(name)]
        return (File(APT, "".join(f"{line}\n" for line in lines)),)

    def script(self, situation: Situation) -> Script:
        """Write the file, or remove it."""
        files = self.files(situation)
        return script(self.name, files=files, unwanted=() if files else (APT,))
