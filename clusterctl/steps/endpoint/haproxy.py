"""Lead the endpoint to every API server (HAProxy)."""

from clusterctl.model.places import HAPROXY_CONFIG, HAPROXY_SERVICE, HAPROXY_SOCKET
from clusterctl.model.situation import Situation
from clusterctl.render import text
from clusterctl.rules.endpoint import reachable_at
from clusterctl.steps.endpoint.program import Program


class Haproxy(Program):
    """HAProxy takes connections on the endpoint's port and leads each to an API server that is ready."""

    name = "endpoint/haproxy"
    title = "Lead the endpoint to every API server (HAProxy)"
    package, path, service = "haproxy", HAPROXY_CONFIG, HAPROXY_SERVICE

    def content(self, situation: Situation, virtual_ip: str) -> str:
        """All control planes of the inventory, those that have not joined yet as well."""
        return text(
            "endpoint/haproxy.cfg.j2",
            socket=HAPROXY_SOCKET,
            bind="[::]" if ":" in virtual_ip else "*",
            port=int(situation.cluster.endpoint.rpartition(":")[2]),
            servers=[
                {"name": host.name, "address": _bracketed(reachable_at(situation, host))}
                for host in situation.inventory.control_planes
            ],
        )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
