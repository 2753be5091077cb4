"""Remove kubeadm's copies of etcd and the manifests."""

from clusterctl.model.places import KUBEADM_BACKUPS
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import ScriptStep


class Leftovers(ScriptStep):
    """What kubeadm kept of the time before the upgrade is gone: a copy of etcd and the manifests."""

    name = "upgrade/leftovers"
    title = "Remove kubeadm's copies of etcd and the manifests"
    follows = True

    def check(self, situation: Situation) -> Verdict:
        """The folder that kubeadm copies to."""
        if KUBEADM_BACKUPS in situation.facts.paths:
            return Needed(f"{KUBEADM_BACKUPS} holds copies of etcd and the manifests")
        return Satisfied("there are none")

    def script(self, situation: Situation) -> Script:
        """Remove what kubeadm made there."""
        return script(self.name, folder=KUBEADM_BACKUPS)
