"""Findings that a person has to settle before anything changes. All of them are shown at once."""

import re
from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

from clusterctl.model.inventory import Cluster, Role
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps import finding
from clusterctl.steps.etcd_members import anew, half_joined
from clusterctl.steps.finding import A_NODE, Finding, is_node, package_trouble
from clusterctl.steps.kubeadm import differences

KUBELET_CONF = finding.KUBELET_CONF
BOOTSTRAP_CONF = "/etc/kubernetes/bootstrap-kubelet.conf"
CA_CERT = "/etc/kubernetes/pki/ca.crt"
ETCD_DATA = "/var/lib/etcd/member"
DOCKER = "docker.service"
_CONTAINERD_CONFIG = "/etc/containerd/config.toml"

_OLDEST_OS = {"ubuntu": "22.04", "debian": "12"}
_ARCHITECTURES = ("x86_64", "aarch64")
# kubeadm's own bounds for a control plane, with the names of its checks.
_MIN_CPUS, _MIN_MEMORY_MIB = 2, 1700

# Our own listener, which tries the ways between hosts and lives for seconds.
LOOKER = "clusterctl-look"
_WORKER_PORTS = {10250: "kubelet", 10256: "kube-proxy"}
# Who may hold which port; Linux cuts a process's name after 15 characters.
_PORTS: Mapping[Role, Mapping[int, str]] = {
    "control-plane": {
        6443: "kube-apiserver",
        2379: "etcd",
        2380: "etcd",
        10250: "kubelet",
        10256: "kube-proxy",
        10257: "kube-controller",
        10259: "kube-scheduler",
    },
    "worker": _WORKER_PORTS,
    "spare": _WORKER_PORTS,
}
_NETWORK_FILES = {"flannel": ("10-flannel.conflist",), "calico": ("10-calico.conflist", "calico-kubeconfig")}


class System(Finding):
    """The operating system is one that clusterctl knows."""

    name = "preflight/system"
    title = "Check the operating system"

    def find(self, situation: Situation) -> Verdict:
        """Distribution, version, architecture, systemd."""
        facts = situation.facts
        oldest = _OLDEST_OS.get(facts.os_id)
        supported = f"Ubuntu {_OLDEST_OS['ubuntu']} or newer, or Debian {_OLDEST_OS['debian']} or newer"
        if oldest is None or _version(facts.os_version) < Version(oldest):
            return Blocked(f"the system is {facts.os_name or 'unknown'}", f"install {supported} on this host")
        if facts.architecture not in _ARCHITECTURES:
            return Blocked(f"the architecture is {facts.architecture}", f"use one of {', '.join(_ARCHITECTURES)}")
        if facts.init != "systemd":
            return Blocked(f"process 1 is {facts.init}", "boot the host with systemd, which runs the kubelet")
        return Satisfied(f"{facts.os_name}, {facts.architecture}")


class Resources(Finding):
    """A control plane has the processors and the memory that kubeadm asks for."""

    name = "preflight/resources"
    title = "Check processors and memory"

    def find(self, situation: Situation) -> Verdict:
        """kubeadm's bounds, unless the inventory ignores its checks NumCPU and Mem."""
        facts, ignored = situation.facts, situation.cluster.ignore_preflight_errors
        if situation.host.role == "control-plane":
            if facts.cpus < _MIN_CPUS and "NumCPU" not in ignored:
                return Blocked(f"{facts.cpus} processor", f"give the control plane {_MIN_CPUS} or more")
            if facts.memory_mib < _MIN_MEMORY_MIB and "Mem" not in ignored:
                return Blocked(f"{facts.memory_mib} MiB of memory", f"give the control plane {_MIN_MEMORY_MIB} MiB")
        return Satisfied(f"{facts.cpus} processors, {facts.memory_mib} MiB")


class Address(Finding):
    """The address that the inventory gives for traffic between nodes is on this host."""

    name = "preflight/address"
    title = "Check the node's address"

    def find(self, situation: Situation) -> Verdict:
        """An ``internal_address`` has to be on an interface."""
        facts, address = situation.facts, situation.node_address
        if address not in facts.addresses:
            return Blocked(
                f"no interface carries {address}; there are {', '.join(facts.addresses) or 'none'}",
                f"set internal_address of {situation.host.name} to one of them",
            )
        return Satisfied(address)


class Ports(Finding):
    """Nobody else listens where Kubernetes will."""

    name = "preflight/ports"
    title = "Check that Kubernetes' ports are free"

    def find(self, situation: Situation) -> Verdict:
        """A port may be free or held by its own component."""
        taken = [
            f"{port} is held by {holder or 'an unknown process'}"
            for port, owner in _held(situation.host.role, situation.cluster).items()
            if (holder := situation.facts.listeners.get(port)) is not None and holder not in (owner, LOOKER)
        ]
        if taken:
            return Blocked("port " + ", port ".join(taken), "stop that process; sudo ss -ltnp shows it")
        return Satisfied("free, or held by Kubernetes")


class Packages(Finding):
    """dpkg is at rest, and no other runtime or newer Kubernetes is in the way."""

    name = "preflight/packages"
    title = "Check the installed packages"

    def find(self, situation: Situation) -> Verdict:
        """Interrupted dpkg, Docker's containerd, versions that clusterctl would have to lower."""
        facts, wanted = situation.facts, Version(situation.cluster.kubernetes)
        if trouble := package_trouble(situation):
            return trouble
        for name in ("kubeadm", "kubelet", "kubectl"):
            package = facts.packages.get(name)
            installed = _version(package.version.partition("-")[0]) if package else wanted
            if installed > wanted:
                return Blocked(
                    f"{name} {installed} is installed, newer than the {wanted} of the inventory",
                    f"clusterctl never lowers a version: set cluster.kubernetes to {installed} or newer",
                )
            if installed < wanted and KUBELET_CONF in facts.paths:
                return Blocked(
                    f"this node runs {name} {installed}, the inventory asks for {wanted}",
                    f"bootstrap never upgrades a node: set cluster.kubernetes to {installed}",
                )
        return Satisfied("nothing in the way")


class Docker(Finding):
    """Docker does not share the host's containerd with Kubernetes."""

    name = "preflight/docker"
    title = "Check for Docker"

    def find(self, situation: Situation) -> Verdict:
        """Docker that runs, and the settings with which its packages switch Kubernetes' side of containerd off."""
        if is_node(situation):
            return A_NODE
        docker = situation.facts.services.get(DOCKER)
        if docker is not None and docker.active == "active":
            return Blocked(
                "Docker runs here, on the containerd that Kubernetes will configure and restart",
                "move its containers elsewhere and remove it: sudo apt-get remove docker-ce docker.io; Docker also "
                "sets the firewall's FORWARD policy to DROP, which cuts pods off",
            )
        config = situation.facts.file(_CONTAINERD_CONFIG) or ""
        if re.search(r"""^\s*disabled_plugins\s*=.*["']cri["']""", config, re.MULTILINE):
            return Satisfied(
                f"{_CONTAINERD_CONFIG} is Docker's, with the CRI switched off; runtime/config replaces it", warning=True
            )
        return Satisfied("none")


class Source(Finding):
    """The wanted Kubernetes version is in the package repository, as seen from this host."""

    name = "preflight/source"
    title = "Check that the packages can be had"

    def find(self, situation: Situation) -> Verdict:
        """Asked only while the version is not installed yet."""
        facts, wanted = situation.facts, situation.cluster.kubernetes
        repository = repository_url(situation)
        if facts.available_problem == "curl is not installed":
            return Satisfied("curl is not installed yet, so the repository was not asked", warning=True)
        if facts.available_problem:
            return Blocked(
                f"{repository} cannot be read: {facts.available_problem.splitlines()[-1]}",
                f"try it on the host: curl -fL {repository}/Packages; set cluster.sources.packages to another source",
            )
        if facts.available is None:
            return Satisfied(f"{wanted} is installed")
        if not any(version.startswith(f"{wanted}-") for version in facts.available):
            newest = sorted(facts.available, key=lambda text: _version(text.partition("-")[0]))[-3:]
            return Blocked(
                f"{repository} has no kubeadm {wanted}; newest there: {', '.join(newest) or 'none'}",
                "name one of them: cluster.kubernetes in the inventory, or --to of an upgrade",
            )
        return Satisfied(f"{wanted} is in {repository}")


class Leftovers(Finding):
    """The host carries nothing of another cluster and no half-done join."""

    name = "preflight/leftovers"
    title = "Check for leftovers of another cluster"

    def find(self, situation: Situation) -> Verdict:
        """Certificates of another CA, a joined kubelet without our cluster, foreign network configuration."""
        facts, host = situation.facts, situation.host
        reset = f"if it may go: {anew(situation)}; then run the same command again"
        ours = authority(situation)
        if host != situation.inventory.first_control_plane and facts.file(CA_CERT) not in (None, ours):
            return Blocked(f"{CA_CERT} is the certificate authority of another cluster", reset)
        if BOOTSTRAP_CONF in facts.paths and KUBELET_CONF not in facts.paths:
            told = half_joined(situation)
            return Blocked(
                "; ".join(filter(None, ("a join was begun and did not finish", told))),
                f"look at journalctl -u kubelet; {reset}",
            )
        network = sorted(path for path in facts.paths if path.startswith("/etc/cni/net.d/"))
        foreign = [path for path in network if path not in own_network_files(situation)]
        if foreign:
            return Blocked(
                f"a network plugin's configuration is there already: {', '.join(foreign)}",
                f"the kubelet would use it; move it away: ssh {host.address} sudo mv {foreign[0]} /var/backups/",
            )
        return Satisfied("none")


class Settings(Finding):
    """A cluster that runs has the settings of the inventory."""

    name = "preflight/settings"
    title = "Compare a running cluster's settings with the inventory"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """kubeadm keeps what it was told at init; bootstrap does not change it afterwards."""
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("compared once, for the first control plane")
        if situation.api is None:
            return Satisfied(f"not compared: {situation.api_problem}")
        different = differences(situation, situation.api.settings)
        if different:
            return Blocked(
                "; ".join(different),
                "changes after bootstrap are not applied yet: put the inventory's old settings back, or change the "
                "cluster by hand (kubernetes.io: Reconfiguring a kubeadm cluster)",
            )
        return Satisfied("they agree")


class Spares(Finding):
    """No spare is a node of the cluster."""

    name = "preflight/spares"
    title = "Check that spares stand by"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """By the nodes alone: spares themselves are not asked."""
        spares = [host for host in situation.inventory.hosts if host.role == "spare"]
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if situation.api is None:
            return Satisfied(f"not looked at: {situation.api_problem}")
        joined = [host.name for host in spares if situation.node_of(host)]
        if joined:
            return Blocked(
                f"spares of the inventory are nodes of the cluster: {', '.join(joined)}",
                "when an upgrade by surge was interrupted, go on with it: clusterctl upgrade --strategy surge; "
                "otherwise give them the role worker, and workers that are no nodes the role spare",
            )
        return Satisfied(f"{len(spares)} spares stand by" if spares else "there are none")


def ports(cluster: Cluster) -> tuple[int, ...]:
    """The ports that Kubernetes, and what leads to it, will hold on some host."""
    return tuple(sorted({*_held("control-plane", cluster), *_held("worker", cluster)}))


def _held(role: Role, cluster: Cluster) -> dict[int, str]:
    """The ports of a host with this role, and who may hold each."""
    if role == "control-plane" and cluster.virtual_ip:
        return {**_PORTS[role], int(cluster.endpoint.rpartition(":")[2]): "haproxy"}
    return dict(_PORTS[role])


def authority(situation: Situation) -> str | None:
    """The certificate of the cluster's authority, as a control plane has it; None while there is no cluster."""
    return next((situation.all_facts[name].file(CA_CERT) for name in situation.founders), None)


def own_network_files(situation: Situation) -> frozenset[str]:
    """The files below /etc/cni/net.d that are no leftovers: the chosen plugin's, and on a living node any plugin's.

    Which plugin a living cluster keeps is not decided by the files of one node.
    """
    if KUBELET_CONF in situation.facts.paths:
        return frozenset(path for path in situation.facts.paths if path.startswith("/etc/cni/net.d/"))
    names = _NETWORK_FILES.get(situation.cluster.network.plugin, ())
    return frozenset(f"/etc/cni/net.d/{name}" for name in names)


def repository_url(situation: Situation) -> str:
    """The package repository of the wanted minor version, laid out as on pkgs.k8s.io."""
    return repository(situation.cluster.sources.packages, situation.cluster.minor)


def repository(packages: str, minor: str) -> str:
    """The package repository of a minor version, laid out as on pkgs.k8s.io."""
    return f"{packages}/core:/stable:/v{minor}/deb"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
