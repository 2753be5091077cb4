"""The observed state: what one read-only probe says of a host, and what the API says of the cluster.

The probe (``templates/facts.sh.j2``) prints sections, ``@@ name`` followed by plain lines; the contents of
files are base64. ``parse_host_facts`` makes frozen values of them and judges nothing.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from clusterctl.errors import ClusterctlError
from clusterctl.model.outlook import Outlook, parse_outlook


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file on a host: its text and its permission bits, such as ``"644"``."""

    content: str
    mode: str


@dataclass(frozen=True, slots=True)
class Package:
    """An installed Debian package; ``intact`` is False while dpkg has not finished with it."""

    version: str
    held: bool
    intact: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A systemd unit's state in systemd's words: ``active``/``inactive``…, ``enabled``/``masked``…."""

    active: str
    enabled: str


@dataclass(frozen=True, slots=True)
class Link:
    """The network interface that carries an address."""

    name: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Route:
    """A network that the host has a way to, the default route left out; ``device`` may be empty."""

    destination: str
    device: str


@dataclass(frozen=True, slots=True)
class Disk:
    """What a directory has room for: the file system around it, known by where it is mounted."""

    free_mib: int
    size_mib: int
    mounted: str


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member of etcd: ``id`` as etcdctl writes it, the addresses by which the others reach it, and its right to vote.

    A ``learner`` copies the data and does not vote yet. The name of a member that never started is empty.
    """

    id: str
    name: str
    addresses: tuple[str, ...]
    learner: bool = False


@dataclass(frozen=True, slots=True)
class ClockFact:
    """How many seconds the host's clock is ahead of ours, give or take ``doubt`` seconds."""

    ahead: float
    doubt: float


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is so on one host at one moment.

    ``paths`` are those of the paths we ask for that exist. ``listeners`` maps TCP ports that kubeadm needs to
    the process that holds them. ``swaps`` are active swap devices and files of this host.
    ``containerd_config`` is ``loaded`` when containerd started after its configuration was written, else
    ``stale``. ``images`` are those that the installed kubeadm needs for the wanted version.
    ``available`` are the versions of kubeadm in the configured repository, None when nobody asked because the
    wanted version is installed; ``available_problem`` says why they could not be read.
    ``digests`` are the SHA-256 of files that hold secrets, whose text is never read.
    ``links`` maps the host's addresses to their interfaces. ``disks`` maps directories to the room around them.
    ``product_uuid`` is the firmware's, or empty. ``host_keys`` are the public keys of its SSH server.
    ``clock`` is filled in by who looks, which alone knows when the answer came.
    ``os_codename`` is the release's name, such as ``bookworm``. ``pulled`` are the images that containerd holds, of a
    host that is no node yet. ``package_lock`` says, when there is a ``dpkg_problem``, which process holds a lock of
    apt or dpkg.
    ``etcd_members`` are what the etcd of this host answers, None when there is none or it does not answer.
    ``static_pods`` maps the components in the host's manifests to their images, such as ``etcd`` to
    ``registry.k8s.io/etcd:3.6.8-0``.
    ``haproxy_unused`` are the API servers, by their hosts' names, to which the HAProxy of this host sends nothing new
    because an administrator said so; None when there is nobody to ask.
    ``busy`` names the script of clusterctl that runs at this moment, or is empty.
    ``now`` is the host's own time. ``outlook`` is what an upgrade has to know, of a node that is not at the wanted
    version.
    """

    hostname: str
    machine_id: str
    boot_id: str
    os_id: str
    os_version: str
    os_name: str
    architecture: str
    kernel: str
    cgroup: str
    cpus: int
    memory_mib: int
    init: str
    addresses: tuple[str, ...] = ()
    swaps: tuple[str, ...] = ()
    modules: frozenset[str] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileFact] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    packages: Mapping[str, Package] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    listeners: Mapping[int, str] = field(default_factory=dict)
    containerd_version: str = ""
    containerd_config: str = ""
    images: tuple[str, ...] = ()
    dpkg_problem: str = ""
    available: tuple[str, ...] | None = None
    available_problem: str = ""
    busy: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    nameservers: tuple[str, ...] = ()
    disks: Mapping[str, Disk] = field(default_factory=dict)
    product_uuid: str = ""
    host_keys: frozenset[str] = frozenset()
    clock: ClockFact | None = None
    os_codename: str = ""
    pulled: frozenset[str] = frozenset()
    package_lock: str = ""
    etcd_members: tuple[EtcdMember, ...] | None = None
    static_pods: Mapping[str, str] = field(default_factory=dict)
    haproxy_unused: frozenset[str] | None = None
    now: float = 0.0
    outlook: Outlook | None = None

    def file(self, path: str) -> str | None:
        """The text of the file at ``path``, None when there is none."""
        fact = self.files.get(path)
        return fact.content if fact else None


@dataclass(frozen=True, slots=True)
class Cordon:
    """clusterctl's mark on a node that it cordoned: who did, when, and whether it was unschedulable before.

    ``drained`` says that a drain has come to its end since. Pods that are there afterwards ignore the cordon.
    """

    by: str
    at: str
    unschedulable: bool
    drained: bool = False


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node as the API shows it; versions without their ``v``.

    Taints are in the inventory's form, ``KEY[=VALUE]:EFFECT``. ``owned_labels`` and ``owned_taints`` are those
    that clusterctl set, as its annotation on the node says. ``cordoned`` is clusterctl's mark of a cordon, if there.
    ``allocatable`` is what pods may request there, as ``PodFacts.requests``; empty while the kubelet has not said.
    ``boot_id`` is that of the boot in which its kubelet last spoke. ``pod_network`` is the network of its pods, or an
    address in it, as flannel or Calico announces it to the other nodes; empty while nobody does.
    """

    name: str
    ready: bool
    reason: str
    kubelet_version: str
    internal_address: str
    control_plane: bool
    unschedulable: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    owned_labels: frozenset[str] = frozenset()
    owned_taints: frozenset[str] = frozenset()
    os_image: str = ""
    container_runtime: str = ""
    cordoned: Cordon | None = None
    allocatable: Mapping[str, int] = field(default_factory=dict)
    boot_id: str = ""
    pod_network: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or DaemonSet: how many pods it wants, how many are up to date and ready, and its images.

    ``digest`` is the digest of the manifest by which clusterctl applied it, or empty.
    """

    kind: str
    namespace: str
    name: str
    desired: int
    ready: int
    images: tuple[str, ...]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """A named set of manifests that clusterctl applied.

    ``digest`` tells which; it is empty while an apply has begun and not ended. ``workloads`` are its Deployments
    and DaemonSets, as keys of ``ClusterFacts.workloads``.
    """

    digest: str
    workloads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """What Calico's operator says of one component: a TigeraStatus.

    ``observed`` is the generation of the object that the operator looked at, None when it does not say.
    """

    available: bool
    progressing: bool
    degraded: bool
    message: str = ""
    observed: int | None = None


@dataclass(frozen=True, slots=True)
class CalicoFacts:
    """What the operator's API group holds.

    ``kinds`` are the collections that are served. ``installation`` is the spec of the Installation ``default``,
    ``version`` what its status says to run. ``statuses`` are the TigeraStatus objects by name; there are none
    until the operator runs.
    """

    kinds: frozenset[str]
    installation: Mapping[str, Any] | None = None
    installation_generation: int = 0
    version: str = ""
    api_server: bool = False
    api_server_generation: int = 0
    statuses: Mapping[str, ComponentStatus] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the Kubernetes API says at one moment.

    ``finished`` are the marks that a whole ``kubeadm init`` leaves: the ConfigMaps ``kubeadm-config``,
    ``kubelet-config`` and ``cluster-info`` and the add-ons ``kube-proxy`` and ``coredns``.
    ``join_tokens`` are the ids of bootstrap tokens that clusterctl made and that still exist.
    ``settings`` are kubeadm's configurations as the cluster keeps them, by their kind: ClusterConfiguration,
    KubeletConfiguration, KubeProxyConfiguration.
    ``applied`` are the manifests that clusterctl recorded, by the step's name. ``calico`` is None where the
    operator's API group is not served. ``static_pods`` are the control planes' own pods, such as ``etcd-cp1``, and
    whether they are ready; ``static_pod_images`` are the images of these pods.
    """

    version: str
    nodes: Mapping[str, NodeFacts] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    join_tokens: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    applied: Mapping[str, Applied] = field(default_factory=dict)
    calico: CalicoFacts | None = None
    static_pods: Mapping[str, bool] = field(default_factory=dict)
    static_pod_images: Mapping[str, str] = field(default_factory=dict)


def clock_of(text: str, sent: float, received: float) -> ClockFact | None:
    """The host's clock beside ours, by the two stamps of the probe's answer.

    Between ``sent`` and ``received`` by our clock the host wrote down the time when the probe began and when it
    ended: it began after we sent it and ended before its answer arrived. That bounds the difference from both
    sides, whatever the probe itself took.
    """
    try:
        began, ended = (float(stamp) for stamp in _sections(text).get("clock", []))
    except ValueError:
        return None
    low, high = ended - received, began - sent
    return ClockFact((low + high) / 2, max(0.0, (high - low) / 2))


def parse_host_facts(text: str) -> HostFacts:
    """Make facts of what the probe printed. Raises ClusterctlError when it is cut off or not the probe's."""
    sections = _sections(text)
    if "end" not in sections:
        raise ClusterctlError(
            "the probe's answer is incomplete",
            details=text[-500:],
            resolution="run the command again; if it stays so, look at the login shell of the SSH user",
        )

    def one(name: str) -> str:
        return "\n".join(sections.get(name, [])).strip()

    def rows(name: str) -> list[list[str]]:
        return [line.split("\t") for line in sections.get(name, []) if line.strip()]

    try:
        return HostFacts(
            hostname=one("hostname"),
            machine_id=one("machine-id"),
            boot_id=one("boot-id"),
            os_id=one("os-id"),
            os_version=one("os-version"),
            os_name=one("os-name"),
            architecture=one("architecture"),
            kernel=one("kernel"),
            cgroup=one("cgroup"),
            cpus=int(one("cpus")),
            memory_mib=int(one("memory-kib")) // 1024,
            init=one("init"),
            addresses=tuple(one("addresses").split()),
            swaps=tuple(row[0] for row in rows("swaps")),
            modules=frozenset(one("modules").split()),
            sysctls={row[0]: " ".join(row[1].split()) for row in rows("sysctls")},
            files={row[0]: FileFact(_decode(row[2]), row[1]) for row in rows("files")},
            paths=frozenset(row[0] for row in rows("paths")),
            packages={row[0]: Package(row[1], row[2] == "hold", row[3] == "ok installed") for row in rows("packages")},
            services={row[0]: Service(row[1], row[2]) for row in rows("services")},
            listeners={int(row[0]): row[1] for row in rows("listeners")},
            containerd_version=one("containerd-version").removeprefix("v"),
            containerd_config=one("containerd-config"),
            images=tuple(one("images").split()),
            dpkg_problem=one("dpkg-problem"),
            available=tuple(one("available").split()) if "available" in sections else None,
            available_problem=one("available-problem"),
            busy=one("busy"),
            digests={row[0]: row[1] for row in rows("digests")},
            links={row[0]: Link(row[1], row[2], int(row[3])) for row in rows("links")},
            routes=tuple(Route(row[0], row[1]) for row in rows("routes")),
            nameservers=tuple(one("nameservers").split()),
            disks={row[0]: Disk(int(row[1]) // 1024, int(row[2]) // 1024, row[3]) for row in rows("disks")},
            product_uuid=one("product-uuid").lower(),
            host_keys=frozenset(row[0] for row in rows("host-keys")),
            os_codename=one("os-codename"),
            pulled=frozenset(one("pulled").split()),
            package_lock=one("package-lock"),
            etcd_members=_etcd_members(one("etcd-members")),
            static_pods={row[0]: row[1] for row in rows("static-pods")},
            haproxy_unused=frozenset(one("haproxy-unused").split()) if "haproxy-unused" in sections else None,
            now=float((sections.get("clock") or ["0"])[-1]),
            outlook=parse_outlook(*(sections.get(name, []) for name in ("certificates", "etcd-status", "api-metrics")))
            if "outlook" in sections
            else None,
        )
    except (ValueError, IndexError, KeyError, binascii.Error) as error:
        raise ClusterctlError(f"the probe's answer cannot be read: {error}", details=text[-500:]) from error


def _etcd_members(text: str) -> tuple[EtcdMember, ...] | None:
    """The answer of etcd's ``/v3/cluster/member/list``; an error of its own, such as that of a learner, is none."""
    try:
        found = json.loads(text)["members"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(
        EtcdMember(
            f"{int(member['ID']):x}",
            member.get("name", ""),
            tuple(str(urlsplit(url).hostname) for url in member.get("peerURLs", ())),
            bool(member.get("isLearner")),
        )
        for member in found
    )


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("@@ "):
            current = sections.setdefault(line[3:].strip(), [])
        else:
            current.append(line)
    return sections


def _decode(text: str) -> str:
    return base64.b64decode(text, validate=True).decode("utf-8", "replace")
