"""Places on a host that steps of a running cluster look at: upgrades, workers that leave, the operating system.

The probe looks at all of them in every call. They are apart from their steps, so that it need not wait until those are
imported.
"""

from clusterctl.model.inventory import Cluster

# What kubeadm brought this host to; its script writes it after kubeadm, and `kubeadm reset` deletes it.
UPGRADED = "/var/lib/kubelet/clusterctl-upgraded"
BACKUP_RECORD = "/var/lib/clusterctl/backup.json"
# Copies of etcd and of the manifests that kubeadm makes.
KUBEADM_BACKUPS = "/etc/kubernetes/tmp"
KUBELET_ENVIRONMENT = ("/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet")
RESETTING = "/var/lib/clusterctl/resetting"
UPGRADABLE = "/var/lib/clusterctl/upgradable"
RESTART_REQUIRED = "/run/reboot-required"

# MiB that a new version takes: images, packages. What etcd's size adds is ETCD_COPIES.
ROOM = {"/var/lib/containerd": 1024, "/usr": 512}
# What is copied there for a while: by kubeadm, by us, and by us on the way there. MiB besides.
ETCD_COPIES = {"/etc/kubernetes": 256, "/var/lib/clusterctl": 256, "/var/lib/etcd": 256}


def fitting(version: str) -> str:
    """The file that says that the kubelet of ``version`` knows this host's settings; it is gone at a reboot."""
    return f"/run/clusterctl/kubelet-{version}-fits"


def etcd_url(cluster: Cluster) -> str:
    """Where the etcd of a control plane listens for its own host, by kubeadm's rule."""
    return f"https://{'[::1]' if ':' in cluster.service_cidr else '127.0.0.1'}:2379"
