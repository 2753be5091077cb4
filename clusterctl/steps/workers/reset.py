"""Make the host clean again (kubeadm reset)."""

from clusterctl.model.places import CA_CERT, ETCD_DATA, RESETTING
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules.membership import authority, used
from clusterctl.steps.step import ScriptStep
from clusterctl.steps.workers.leaving import DELETES, why_it_stays


class Reset(ScriptStep):
    """A host whose node was removed carries nothing of the cluster, so that it may join again."""

    name = "workers/reset"
    title = "Make the host clean again (kubeadm reset)"
    reads_api = True
    renews = True
    deadline = 60.0

    def check(self, situation: Situation) -> Verdict:
        """Never a control plane, never a host of another cluster, never while there is a node."""
        facts, host = situation.facts, situation.host
        if situation.api is None:
            return Unknown(situation.api_problem)
        if (node := situation.node) is not None:
            stays = why_it_stays(node, situation)
            return Satisfied(stays) if stays else Unknown(f"when {node.name} is drained and removed, it {DELETES}")
        if not used(facts):
            return Satisfied("nothing of a node is left")
        if host.role == "control-plane" or ETCD_DATA in facts.paths or facts.static_pods:
            return Blocked("a control plane is never reset", "correct its role in the inventory")
        if facts.file(CA_CERT) not in (None, authority(situation)):
            return Blocked(
                f"{CA_CERT} is the certificate authority of another cluster",
                f"if it may go: ssh {host.address} sudo kubeadm reset -f, then run the same command again",
            )
        return Needed(DELETES)

    def script(self, situation: Situation) -> Script:
        """kubeadm reset, then what it leaves: the pod network's traces."""
        return script(self.name, mark=RESETTING)
