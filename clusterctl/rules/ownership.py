"""Which files on a host are clusterctl's own or the chosen plugin's, and which somebody else wrote. Pure."""

from clusterctl.model.places import KUBELET_CONF
from clusterctl.model.situation import Situation

# How files that are clusterctl's alone begin: what does not begin so was written by somebody else.
HEADER = "# Written by clusterctl"
_NETWORK_FILES = {"flannel": ("10-flannel.conflist",), "calico": ("10-calico.conflist", "calico-kubeconfig")}


def own_network_files(situation: Situation) -> frozenset[str]:
    """The files below /etc/cni/net.d that are no leftovers: the chosen plugin's, and on a living node any plugin's.

    Which plugin a living cluster keeps is not decided by the files of one node.
    """
    if KUBELET_CONF in situation.facts.paths:
        return frozenset(path for path in situation.facts.paths if path.startswith("/etc/cni/net.d/"))
    names = _NETWORK_FILES.get(situation.cluster.network.plugin, ())
    return frozenset(f"/etc/cni/net.d/{name}" for name in names)
