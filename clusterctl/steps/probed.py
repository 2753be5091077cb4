"""What the probe has to read on a host, for the checks of all steps."""

from clusterctl.model.inventory import Inventory
from clusterctl.model.situation import ADMIN_CONF
from clusterctl.steps import (
    control_plane,
    endpoint,
    kubeadm,
    os,
    os_proxy,
    packages,
    places,
    preflight,
    preflight_identity,
    repository,
    runtime,
    runtime_registries,
)


def probe_values(inventory: Inventory) -> dict[str, object]:
    """The values of ``templates/facts.sh.j2``: what the steps look at on a host."""
    cluster = inventory.cluster
    return {
        "kubernetes": cluster.kubernetes,
        "images": cluster.sources.images,
        "repository": preflight.repository(cluster.sources.packages, cluster.minor),
        "modules": os.MODULES,
        "sysctls": os.sysctls(inventory.cluster),
        "files": (
            *os.FILES,
            packages.SOURCE,
            os_proxy.APT,
            runtime.SOURCE,
            runtime.CONFIG,
            runtime.PROXY,
            *(runtime_registries.ca_file(name) for name in cluster.sources.registries),
            preflight.CA_CERT,
            kubeadm.AUDIT_POLICY,
            places.BACKUP_RECORD,
            places.UPGRADED,
            places.UPGRADABLE,
            # Such files of other people may hold passwords.
            *(endpoint.CONFIGS if cluster.virtual_ip else ()),
        ),
        "registries": tuple(runtime_registries.hosts_file(name) for name in cluster.sources.registries),
        "certs": runtime_registries.CERTS,
        "secrets": (kubeadm.ENCRYPTION,),
        "kubelet_conf": preflight.KUBELET_CONF,
        "kubelet_environment": places.KUBELET_ENVIRONMENT,
        "environment": tuple(os_proxy.environment(cluster).items()),
        "paths": (
            ADMIN_CONF,
            preflight.KUBELET_CONF,
            preflight.BOOTSTRAP_CONF,
            preflight.ETCD_DATA,
            packages.KEYRING,
            runtime.KEYRING,
            places.RESTART_REQUIRED,
            *control_plane.MANIFESTS,
            places.fitting(cluster.kubernetes),
            places.KUBEADM_BACKUPS,
            places.RESETTING,
        ),
        "packages": (*packages.KUBERNETES, *repository.TOOLS, *endpoint.PACKAGES),
        "services": (
            runtime.SERVICE,
            packages.KUBELET_SERVICE,
            os.SWAP_TARGET,
            *os.ZRAM_SERVICES,
            *preflight_identity.TIME_SERVICES,
            preflight.DOCKER,
            endpoint.HAPROXY_SERVICE,
            endpoint.KEEPALIVED_SERVICE,
        ),
        "ports": preflight.ports(cluster),
        "haproxy_socket": endpoint.HAPROXY_SOCKET,
        "disks": tuple(dict.fromkeys((*preflight_identity.DISKS, *places.ROOM, *places.ETCD_COPIES))),
        "etcd": places.etcd_url(cluster),
    }
