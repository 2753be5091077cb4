"""What the probe has to read on a host, for the checks of all steps. Pure."""

from clusterctl.model import places
from clusterctl.model.inventory import Inventory
from clusterctl.model.places import ADMIN_CONF
from clusterctl.rules import kernel, packages, ports, proxy


def probe_values(inventory: Inventory) -> dict[str, object]:
    """The values of ``templates/facts.sh.j2``: what the steps look at on a host."""
    cluster = inventory.cluster
    return {
        "kubernetes": cluster.kubernetes,
        "images": cluster.sources.images,
        "repository": packages.repository(cluster.sources.packages, cluster.minor),
        "modules": kernel.MODULES,
        "sysctls": kernel.sysctls(inventory.cluster),
        "files": (
            places.FSTAB,
            places.MODULES_FILE,
            places.SYSCTL_FILE,
            places.KUBERNETES_SOURCE,
            places.APT_PROXY,
            places.CONTAINERD_SOURCE,
            places.CONTAINERD_CONFIG,
            places.CONTAINERD_PROXY,
            *(places.ca_file(name) for name in cluster.sources.registries),
            places.CA_CERT,
            places.AUDIT_POLICY,
            places.BACKUP_RECORD,
            places.UPGRADED,
            places.UPGRADABLE,
            # Such files of other people may hold passwords.
            *(places.ENDPOINT_CONFIGS if cluster.virtual_ip else ()),
        ),
        "registries": tuple(places.hosts_file(name) for name in cluster.sources.registries),
        "certs": places.REGISTRIES,
        "secrets": (places.ENCRYPTION,),
        "kubelet_conf": places.KUBELET_CONF,
        "kubelet_environment": places.KUBELET_ENVIRONMENT,
        "environment": tuple(proxy.environment(cluster).items()),
        "paths": (
            ADMIN_CONF,
            places.KUBELET_CONF,
            places.BOOTSTRAP_CONF,
            places.ETCD_DATA,
            places.KUBERNETES_KEYRING,
            places.CONTAINERD_KEYRING,
            places.RESTART_REQUIRED,
            *places.MANIFESTS,
            places.fitting(cluster.kubernetes),
            places.KUBEADM_BACKUPS,
            places.RESETTING,
        ),
        "packages": (*places.KUBERNETES_PACKAGES, *places.REPOSITORY_TOOLS, *places.ENDPOINT_PACKAGES),
        "services": (
            places.CONTAINERD_SERVICE,
            places.KUBELET_SERVICE,
            places.SWAP_TARGET,
            *places.ZRAM_SERVICES,
            *places.TIME_SERVICES,
            places.DOCKER_SERVICE,
            places.HAPROXY_SERVICE,
            places.KEEPALIVED_SERVICE,
        ),
        "ports": ports.ports(cluster),
        "haproxy_socket": places.HAPROXY_SOCKET,
        "disks": tuple(dict.fromkeys((*places.DISKS, *places.ROOM, *places.ETCD_COPIES))),
        "etcd": places.etcd_url(cluster),
    }
