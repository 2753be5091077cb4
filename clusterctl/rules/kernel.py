"""What the kernel of a node has to have loaded and set. Pure."""

from clusterctl.model.inventory import Cluster

MODULES = ("overlay", "br_netfilter")
# Bridged traffic has to pass iptables for kube-proxy with bridge plugins.
_BRIDGED = ("net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-iptables")


def sysctls(cluster: Cluster) -> tuple[str, ...]:
    """The parameters that are set to 1. Forwarding, in the cluster's family, is kubeadm's condition."""
    forward = "net.ipv6.conf.all.forwarding" if ":" in cluster.service_cidr else "net.ipv4.ip_forward"
    return (*_BRIDGED, forward)
