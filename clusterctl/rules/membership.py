"""Whether a host belongs to a cluster, and to which. Pure."""

from clusterctl.model.facts import HostFacts
from clusterctl.model.places import ADMIN_CONF, CA_CERT, ETCD_DATA, KUBELET_CONF, MANIFESTS, RESETTING
from clusterctl.model.situation import Situation

# What kubeadm leaves on a control plane from the first moments of init or join on.
TRACES = (ADMIN_CONF, KUBELET_CONF, ETCD_DATA, *MANIFESTS)


def is_node(situation: Situation) -> bool:
    """Whether the host has joined a cluster: what a host needs beforehand is of no interest any more."""
    return KUBELET_CONF in situation.facts.paths


def authority(situation: Situation) -> str | None:
    """The certificate of the cluster's authority, as a control plane has it; None while there is no cluster."""
    return next((situation.all_facts[name].file(CA_CERT) for name in situation.founders), None)


def used(facts: HostFacts) -> bool:
    """Whether a host carries what it has as a node, or a part of it."""
    return KUBELET_CONF in facts.paths or RESETTING in facts.paths
