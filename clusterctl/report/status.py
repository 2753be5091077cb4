"""The cluster beside the inventory: its nodes, its own workloads, and what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterctl.errors import ClusterctlError
from clusterctl.model.facts import ClusterFacts, HostFacts, NodeFacts
from clusterctl.model.inventory import Host, Inventory
from clusterctl.model.situation import find_node, node_name
from clusterctl.model.words import count
from clusterctl.report.style import styled
from clusterctl.report.tables import table
from clusterctl.report.words import without_prefix

_KUBELET = "kubelet.service"


@dataclass(frozen=True)
class Status:
    """What was wanted and what was seen. ``facts`` are of the hosts that answered, ``unreachable`` of the others."""

    inventory: Inventory
    cluster: ClusterFacts
    facts: Mapping[str, HostFacts]
    unreachable: Mapping[str, ClusterctlError]

    def node_of(self, host: Host) -> NodeFacts | None:
        """The node of ``host``; of one that does not answer, the node with its name or address."""
        if host.name in self.facts:
            return self.cluster.nodes.get(node_name(self.facts[host.name]))
        return find_node(host, self.cluster)

    def differences(self) -> Iterator[tuple[str, str]]:
        """What is not as the inventory wants it: a host or node, and what about it."""
        wanted = self.inventory.cluster.kubernetes
        if _version(self.cluster.version) != wanted:
            yield "API server", f"its version is {_version(self.cluster.version)}, the inventory wants {wanted}"
        for host in self.inventory.hosts:
            if host.role == "spare" and self.node_of(host) is None:
                continue
            if host.name in self.unreachable:
                yield host.name, f"cannot be reached: {without_prefix(self.unreachable[host.name].what, host.name)}"
            node = self.node_of(host)
            kubelet = host.name in self.facts and self.facts[host.name].services.get(_KUBELET)
            if kubelet and kubelet.active in ("inactive", "failed"):
                yield host.name, f"{_KUBELET} is {kubelet.active}"
            if node is None:
                yield host.name, "is not a node of the cluster"
                continue
            if _version(node.kubelet_version) != wanted:
                yield host.name, f"its kubelet is {_version(node.kubelet_version)}, the inventory wants {wanted}"
            role = _role(node)
            if role != host.role:
                yield host.name, f"is a {role}, the inventory wants a {host.role}"
        for name in self._extra():
            yield name, "is a node of the cluster and not in the inventory"

    def as_json(self) -> dict[str, Any]:
        """The status as JSON values."""
        hosts = self._hosts()
        nodes = {host: node for node, host in hosts.items()}
        return {
            "cluster": self.inventory.cluster.name,
            "api_server_version": _version(self.cluster.version),
            "wanted_version": self.inventory.cluster.kubernetes,
            "nodes": [
                {
                    "name": node.name,
                    "host": hosts.get(node.name),
                    "ready": node.ready,
                    "reason": node.reason,
                    "version": _version(node.kubelet_version),
                    "role": _role(node),
                    "internal_address": node.internal_address,
                    "taints": list(node.taints),
                    "unschedulable": node.unschedulable,
                    "os_image": node.os_image,
                    "container_runtime": node.container_runtime,
                }
                for node in self.cluster.nodes.values()
            ],
            "hosts": [
                {
                    "name": host.name,
                    "answers": host.name in self.facts,
                    "node": nodes.get(host.name),
                    "services": {name: service.active for name, service in self.facts[host.name].services.items()}
                    if host.name in self.facts
                    else {},
                }
                for host in self.inventory.hosts
            ],
            "workloads": [
                {
                    "kind": load.kind,
                    "namespace": load.namespace,
                    "name": load.name,
                    "desired": load.desired,
                    "ready": load.ready,
                    "images": list(load.images),
                }
                for load in self.cluster.workloads.values()
            ],
            "differences": [{"name": name, "difference": difference} for name, difference in self.differences()],
        }

    def as_text(self) -> str:
        """The status in words."""
        return "\n".join([*self._head(), "", *self._nodes(), "", *self._workloads(), *self._different()])

    def _hosts(self) -> dict[str, str]:
        """The names of nodes, and of which host each is."""
        return {node.name: host.name for host in self.inventory.hosts if (node := self.node_of(host))}

    def _extra(self) -> list[str]:
        ours = self._hosts()
        return [name for name in self.cluster.nodes if name not in ours]

    def _head(self) -> Iterator[str]:
        nodes = self.cluster.nodes.values()
        ready = sum(node.ready for node in nodes)
        yield styled(self.inventory.cluster.name, bold=True) + (
            f": API server {_version(self.cluster.version)}, {ready} of {count(len(nodes), 'node')} ready"
        )

    def _nodes(self) -> list[str]:
        rows = [
            (
                node.name,
                "yes" if node.ready else "no",
                _role(node),
                _version(node.kubelet_version),
                node.internal_address,
                ",".join(node.taints) or "-",
                "; ".join(filter(None, ["unschedulable" if node.unschedulable else "", node.reason])) or "-",
            )
            for node in self.cluster.nodes.values()
        ]
        return table(rows, headings=("NODE", "READY", "ROLE", "VERSION", "ADDRESS", "TAINTS", "NOTES"))

    def _workloads(self) -> list[str]:
        rows = [
            (load.namespace, f"{load.kind.lower()}/{load.name}", f"{load.ready}/{load.desired}", " ".join(load.images))
            for load in self.cluster.workloads.values()
        ]
        return table(rows, headings=("NAMESPACE", "WORKLOAD", "READY", "IMAGES"))

    def _different(self) -> Iterator[str]:
        different = list(self.differences())
        yield ""
        if not different:
            yield "Nodes and versions are as the inventory wants them."
            return
        yield styled("Different from the inventory", fg="yellow", bold=True)
        for name, difference in different:
            yield f"  {name}: {difference}"


def _role(node: NodeFacts) -> str:
    return "control-plane" if node.control_plane else "worker"


def _version(text: str) -> str:
    return text.removeprefix("v")
