"""Give the endpoint's address to one control plane (keepalived)."""

import ipaddress

from clusterctl.model.places import KEEPALIVED_CONFIG, KEEPALIVED_SERVICE
from clusterctl.model.situation import Situation
from clusterctl.render import text
from clusterctl.rules.endpoint import reachable_at
from clusterctl.steps.endpoint.program import Program


class Keepalived(Program):
    """One control plane whose HAProxy runs has the virtual IP, and another one takes it when that is lost."""

    name = "endpoint/keepalived"
    title = "Give the endpoint's address to one control plane (keepalived)"
    package, path, service = "keepalived", KEEPALIVED_CONFIG, KEEPALIVED_SERVICE

    def content(self, situation: Situation, virtual_ip: str) -> str:
        """All control planes begin as backups, and who has the address keeps it."""
        planes = situation.inventory.control_planes
        return text(
            "endpoint/keepalived.conf.j2",
            name=situation.host.name,
            device=situation.facts.links[situation.node_address].name,
            address=situation.node_address,
            peers=[reachable_at(situation, host) for host in planes if host != situation.host],
            # The steps between them keep two backups from moving at the same moment.
            priority=max(1, 250 - 20 * planes.index(situation.host)),
            virtual_ip=f"{virtual_ip}/{ipaddress.ip_address(virtual_ip).max_prefixlen}",
        )
