"""Check for leftovers of another cluster."""

from clusterctl.model.places import BOOTSTRAP_CONF, CA_CERT, KUBELET_CONF
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.etcd import anew, half_joined
from clusterctl.rules.membership import authority
from clusterctl.rules.ownership import own_network_files
from clusterctl.steps.finding import Finding


class Leftovers(Finding):
    """The host carries nothing of another cluster and no half-done join."""

    name = "preflight/leftovers"
    title = "Check for leftovers of another cluster"

    def find(self, situation: Situation) -> Verdict:
        """Certificates of another CA, a joined kubelet without our cluster, foreign network configuration."""
        facts, host = situation.facts, situation.host
        reset = f"if it may go: {anew(situation)}; then run the same command again"
        ours = authority(situation)
        if host != situation.inventory.first_control_plane and facts.file(CA_CERT) not in (None, ours):
            return Blocked(f"{CA_CERT} is the certificate authority of another cluster", reset)
        if BOOTSTRAP_CONF in facts.paths and KUBELET_CONF not in facts.paths:
            told = half_joined(situation)
            return Blocked(
                "; ".join(filter(None, ("a join was begun and did not finish", told))),
                f"look at journalctl -u kubelet; {reset}",
            )
        network = sorted(path for path in facts.paths if path.startswith("/etc/cni/net.d/"))
        foreign = [path for path in network if path not in own_network_files(situation)]
        if foreign:
            return Blocked(
                f"a network plugin's configuration is there already: {', '.join(foreign)}",
                f"the kubelet would use it; move it away: ssh {host.address} sudo mv {foreign[0]} /var/backups/",
            )
        return Satisfied("none")
