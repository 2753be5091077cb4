"""Where things are on a host: the files, folders, services and packages that steps look at and leave.

The probe reads all of them in every call; none of them needs a step to be known.
"""

from clusterctl.model.inventory import Cluster

# kubeadm and the kubelet. A control plane has the first one from the middle of kubeadm init or join on.
ADMIN_CONF = "/etc/kubernetes/admin.conf"
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
BOOTSTRAP_CONF = "/etc/kubernetes/bootstrap-kubelet.conf"
CA_CERT = "/etc/kubernetes/pki/ca.crt"
ETCD_DATA = "/var/lib/etcd/member"
STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
MANIFESTS = tuple(f"/etc/kubernetes/manifests/{name}.yaml" for name in STATIC_PODS)
API_SERVER_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
# templates/facts.sh.j2 reads what is in this folder.
PATCHES = "/etc/kubernetes/patches"
ENCRYPTION = "/etc/kubernetes/encryption/config.yaml"
AUDIT_POLICY = "/etc/kubernetes/audit/policy.yaml"
KUBELET_SERVICE = "kubelet.service"
KUBELET_ENVIRONMENT = ("/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet")
# Copies of etcd and of the manifests that kubeadm makes.
KUBEADM_BACKUPS = "/etc/kubernetes/tmp"

# The operating system.
FSTAB = "/etc/fstab"
SWAP_TARGET = "swap.target"
# Services that switch compressed swap on at boot, by Debian's and Ubuntu's packages zram-tools and zram-config.
ZRAM_SERVICES = ("zramswap.service", "zram-config.service")
MODULES_FILE, SYSCTL_FILE = "/etc/modules-load.d/kubernetes.conf", "/etc/sysctl.d/99-kubernetes.conf"
RESTART_REQUIRED = "/run/reboot-required"
TIME_SERVICES = (
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntpsec.service",
    "ntp.service",
    "ntpd.service",
    "openntpd.service",
)

# Packages, and where they come from. apt reads an armoured key by its suffix.
APT_PROXY = "/etc/apt/apt.conf.d/90clusterctl-proxy"
KUBERNETES_KEYRING = "/etc/apt/keyrings/kubernetes-apt-keyring.asc"
KUBERNETES_SOURCE = "/etc/apt/sources.list.d/kubernetes.list"
KUBERNETES_PACKAGES = ("kubeadm", "kubectl", "kubelet")
# What an upgrade brings to a node when it is drained; kubeadm comes before.
KUBELET_PACKAGES = ("kubelet", "kubectl")
# What fetching and checking a repository's key takes.
REPOSITORY_TOOLS = ("ca-certificates", "curl", "gpg")

# containerd, and who may be there instead.
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
CONTAINERD_PROXY = "/etc/systemd/system/containerd.service.d/90-clusterctl-proxy.conf"
CONTAINERD_SOURCE = "/etc/apt/sources.list.d/clusterctl-containerd.list"
CONTAINERD_KEYRING = "/etc/apt/keyrings/clusterctl-containerd.asc"
CONTAINERD_SERVICE = "containerd.service"
REGISTRIES = "/etc/containerd/certs.d"
DOCKER_SERVICE = "docker.service"

# What leads to the API servers, where one of the control planes has the endpoint's address.
HAPROXY_SOCKET = "/run/haproxy/admin.sock"
HAPROXY_CONFIG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
HAPROXY_SERVICE, KEEPALIVED_SERVICE = "haproxy.service", "keepalived.service"
ENDPOINT_CONFIGS = (HAPROXY_CONFIG, KEEPALIVED_CONFIG)
ENDPOINT_PACKAGES = ("haproxy", "keepalived")

# What clusterctl itself leaves. The first says what kubeadm brought this host to; `kubeadm reset` deletes it.
UPGRADED = "/var/lib/kubelet/clusterctl-upgraded"
BACKUP_RECORD = "/var/lib/clusterctl/backup.json"
RESETTING = "/var/lib/clusterctl/resetting"
UPGRADABLE = "/var/lib/clusterctl/upgradable"

# MiB for what a node keeps there: images and containers, pods' volumes and logs, etcd's default quota.
DISKS = {"/var/lib/containerd": 4096, "/var/lib/kubelet": 1024, "/var/lib/etcd": 2048}
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


def hosts_file(registry: str) -> str:
    """Where containerd looks for how to reach ``registry``."""
    return f"{REGISTRIES}/{registry}/hosts.toml"


def ca_file(registry: str) -> str:
    """Where the authority's certificate of ``registry`` lies on a host."""
    return f"{REGISTRIES}/{registry}/ca.crt"
