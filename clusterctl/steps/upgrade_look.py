"""Findings before an upgrade: versions, the nodes, and what the hosts need. All of them are shown at once.

A host on which the upgrade has begun may be in any state in between, and going on is what mends it: there they warn.
"""

from collections.abc import Iterator

from clusterctl.model.facts import ClusterFacts
from clusterctl.model.situation import Situation, node_name
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.model.versions import at_least, image_version, minor, minor_text, parse
from clusterctl.steps.control_plane import STATIC_PODS
from clusterctl.steps.finding import Finding, is_node, package_trouble, shortages
from clusterctl.steps.places import ETCD_COPIES, ROOM

# How many minors a kubelet may be older than its API server, by Kubernetes' version skew policy.
_SKEW = 3
_MASTER = "node-role.kubernetes.io/master"
_CONTROL_PLANE_TAINT = "node-role.kubernetes.io/control-plane"
_NO_PODS = (":NoSchedule", ":NoExecute")


class Versions(Finding):
    """The wanted version lies at most one minor ahead of the one that runs."""

    name = "upgrade/versions"
    title = "Compare the running version with the wanted one"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """Each control plane's own API server, by its manifest; a worker has to be a node."""
        wanted = situation.cluster.kubernetes
        if not situation.founders:
            return Blocked("there is no cluster yet", "make it first: clusterctl bootstrap")
        if not is_node(situation):
            return Blocked(
                "this host is no node of the cluster",
                "let it join first: clusterctl bootstrap; or take it out of the inventory",
            )
        running = api_server(situation)
        if situation.host.role != "control-plane":
            return Satisfied("a worker follows its control plane")
        if not running:
            return Unknown(f"the API server's version is not known: {situation.api_problem or 'its image has no tag'}")
        if parse(running) > parse(wanted):
            return Satisfied(f"the API server here runs {running} already; nothing is lowered", warning=True)
        if minor(running)[1] + 1 < minor(wanted)[1]:
            return Blocked(
                f"the API server here runs {running}, more than one minor before {wanted}",
                f"a control plane steps through every minor: clusterctl upgrade --to {wanted} does",
            )
        return Satisfied(f"{running} to {wanted}" if running != wanted else f"{wanted} runs here")


class Skew(Finding):
    """The kubelet will not be too old for the new API server, nor newer than it."""

    name = "upgrade/skew"
    title = "Check the kubelet's version"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """The kubelet that runs, and that which is installed and may run after any restart."""
        api, wanted = situation.api, situation.cluster.kubernetes
        if api is None:
            return Unknown(situation.api_problem)
        strangers = list(_old_strangers(situation, api)) if _first(situation) else []
        if strangers:
            return Blocked(
                f"nodes that are not in the inventory are too old for {wanted}: {', '.join(strangers)}",
                "add them to the inventory, or delete nodes that are gone: kubectl delete node NAME",
            )
        node = situation.node
        package = situation.facts.packages.get("kubelet")
        versions = [node.kubelet_version if node else "", package.version.partition("-")[0] if package else ""]
        known = [version for version in versions if at_least(version, "0.0.0")]
        if not known:
            return Blocked(
                "no kubelet is known here", f"look at it: ssh {situation.host.address} systemctl status kubelet"
            )
        oldest, newest = min(known, key=parse), max(known, key=parse)
        if minor(wanted)[1] - minor(oldest)[1] > _SKEW:
            return Blocked(
                f"the kubelet is {oldest}; an API server of {minor_text(wanted)} works with kubelets of "
                f"1.{minor(wanted)[1] - _SKEW} and newer",
                "let the workers follow before: clusterctl upgrade to a version in between, with --workers every-hop",
            )
        if not at_least(wanted, newest):
            return Satisfied(
                f"the kubelet {newest} is newer than {wanted} and is never lowered; it may not be newer than its API "
                f"server: upgrade to {newest} next",
                warning=True,
            )
        if not at_least(api.version, newest):
            return Satisfied(
                f"the kubelet {newest} is newer than the API server {api.version}, which Kubernetes does not support: "
                "finishing this upgrade puts it right",
                warning=True,
            )
        return Satisfied(f"kubelet {oldest}")


class PackageManager(Finding):
    """dpkg is at rest."""

    name = "upgrade/package-manager"
    title = "Check that no installation was interrupted"

    def find(self, situation: Situation) -> Verdict:
        """An installation that goes on is waited for."""
        return package_trouble(situation) or Satisfied("nothing in the way")


class Nodes(Finding):
    """The node is Ready, and pods may come to some node."""

    name = "upgrade/nodes"
    title = "Check that the nodes are Ready"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """kubeadm itself wants the control planes Ready and a place for its health check; somebody's cordon is told."""
        api, node, name = situation.api, situation.node, situation.node_name
        if api is None:
            return Unknown(situation.api_problem)
        if node is None:
            return Blocked(f"the cluster has no node {name}", "let it join first: clusterctl bootstrap")
        if not node.ready:
            trouble = f"{name} is not Ready: {node.reason}"
            if node.cordoned or begun(situation):
                return Satisfied(f"{trouble}; its upgrade has begun and goes on", warning=True)
            return Blocked(
                trouble, f"kubectl describe node {name}; ssh {situation.host.address} sudo journalctl -u kubelet -n 50"
            )
        if _first(situation) and not _anywhere_for_pods(api):
            return Blocked(
                "no node takes new pods, so that kubeadm's health check cannot run",
                f"let one take pods again: kubectl uncordon {name}",
            )
        strangers = sorted(each for each in api.nodes if each not in _own_nodes(situation)) if _first(situation) else []
        if strangers:
            return Satisfied(f"not in the inventory, and not upgraded: {', '.join(strangers)}", warning=True)
        if node.unschedulable and node.cordoned is None:
            return Satisfied(f"{name} was cordoned by somebody else, and stays so", warning=True)
        return Satisfied(f"{name} is Ready")


class ControlPlane(Finding):
    """The control plane's own pods are ready."""

    name = "upgrade/control-plane"
    title = "Check the control plane's pods"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """As the API shows the static pods of this node."""
        if situation.host.role != "control-plane":
            return Satisfied("a worker has none")
        if situation.api is None:
            return Unknown(situation.api_problem)
        pods = [f"{name}-{situation.node_name}" for name in STATIC_PODS]
        waiting = [pod for pod in pods if not situation.api.static_pods.get(pod)]
        if waiting and begun(situation):
            return Satisfied(f"not ready: {', '.join(waiting)}; the upgrade has begun here and goes on", warning=True)
        if waiting:
            return Blocked(
                f"not ready: {', '.join(waiting)}",
                f"kubectl -n kube-system describe pod {waiting[0]}; kubectl -n kube-system logs {waiting[0]}",
            )
        return Satisfied(f"{', '.join(STATIC_PODS)} are ready")


class DiskSpace(Finding):
    """There is room for the new images and packages, and for the copies of etcd that are made on the way."""

    name = "upgrade/disk-space"
    title = "Check the disk space"

    def find(self, situation: Situation) -> Verdict:
        """Directories of one file system share what is free there."""
        outlook, disks = situation.facts.outlook, situation.facts.disks
        if outlook is None:
            return AT_TARGET
        wanted = dict(ROOM)
        if situation.host.role == "control-plane":
            size = outlook.etcd.size >> 20 if outlook.etcd else 0
            wanted |= {path: size + spare for path, spare in ETCD_COPIES.items()}
        if short := shortages(wanted, disks):
            return Blocked("; ".join(short), "make room: df -h; sudo du -xhd1 /var | sort -h; sudo apt-get clean")
        return Satisfied(f"{min((disks[path].free_mib for path in wanted if path in disks), default=0)} MiB free")


class MasterMarks(Finding):
    """The node carries no taint and no label of the word master, which Kubernetes gave up with 1.25."""

    name = "upgrade/old-marks"
    title = "Check for old taints and labels"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """The taint keeps kubeadm's health check and the new add-ons away; the label only misleads."""
        node, name = situation.node, situation.node_name
        if situation.api is None:
            return Unknown(situation.api_problem)
        if node and any(taint.partition(":")[0].partition("=")[0] == _MASTER for taint in node.taints):
            return Blocked(
                f"{name} has the taint {_MASTER}, which nothing of Kubernetes tolerates any more",
                f"take it away: kubectl taint nodes {name} {_MASTER}-",
            )
        if node and _MASTER in node.labels:
            return Satisfied(
                f"{name} has the old label {_MASTER}; where nothing selects it: kubectl label node {name} {_MASTER}-",
                warning=True,
            )
        return Satisfied("none")


class Runtime(Finding):
    """The container runtime is one that the new kubelet works with."""

    name = "upgrade/runtime"
    title = "Check the container runtime's version"

    def find(self, situation: Situation) -> Verdict:
        """From 1.38 on the kubelet asks the runtime for its cgroup driver, which containerd can tell since 2.0."""
        containerd = situation.facts.containerd_version.partition("~")[0]
        if minor(situation.cluster.kubernetes) >= (1, 38) and containerd and not at_least(containerd, "2.0.0"):
            return Blocked(
                f"containerd is {containerd}; the kubelet of {situation.cluster.minor} needs 2.0 or newer",
                "install a newer one first, node by node and drained: cluster.sources.containerd says from where",
            )
        return Satisfied(f"containerd {containerd}" if containerd else "no containerd")


class Cgroups(Finding):
    """The new kubelet runs on this host's version of cgroups."""

    name = "upgrade/cgroups"
    title = "Check the version of cgroups"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """A kubelet of 1.35 or newer ends at once on cgroup v1, unless its configuration says otherwise."""
        facts, api = situation.facts, situation.api
        if facts.cgroup != "v1" or minor(situation.cluster.kubernetes) < (1, 35):
            return Satisfied(f"cgroup {facts.cgroup}")
        if api is None:
            return Unknown(situation.api_problem)
        if api.settings.get("KubeletConfiguration", {}).get("failCgroupV1") is not False:
            return Blocked(
                f"the host has cgroup v1, with which a kubelet of {situation.cluster.minor} does not start",
                "boot it with cgroup v2 (systemd.unified_cgroup_hierarchy=1); or say failCgroupV1: false in its "
                "settings: kubectl -n kube-system edit configmap kubelet-config",
            )
        return Satisfied("cgroup v1, and failCgroupV1 is false")


AT_TARGET = Satisfied("the host is at the wanted version")


def api_server(situation: Situation) -> str:
    """The version of this control plane's API server, by its manifest, else as the API says; or empty."""
    return image_version(situation.facts.static_pods.get("kube-apiserver", "")) or (
        situation.api.version if situation.api else ""
    )


def begun(situation: Situation) -> bool:
    """Whether the upgrade to the wanted version has begun on this host: kubeadm comes first."""
    package = situation.facts.packages.get("kubeadm")
    return package is not None and at_least(package.version, situation.cluster.kubernetes)


def _first(situation: Situation) -> bool:
    """Whether this host answers for the whole cluster."""
    return situation.host == situation.inventory.first_control_plane


def _own_nodes(situation: Situation) -> frozenset[str]:
    """The nodes of the inventory; a host that was not reached is known by its name alone."""
    facts = situation.all_facts
    return frozenset(
        node_name(facts[host.name]) if host.name in facts else host.name for host in situation.inventory.hosts
    )


def _old_strangers(situation: Situation, api: ClusterFacts) -> Iterator[str]:
    wanted = minor(situation.cluster.kubernetes)
    for name, node in sorted(api.nodes.items()):
        version = node.kubelet_version
        if name not in _own_nodes(situation) and at_least(version, "0.0.0") and wanted[1] - minor(version)[1] > _SKEW:
            yield f"{name} ({version})"


def _anywhere_for_pods(api: ClusterFacts) -> bool:
    """Whether some node takes kubeadm's Job, which tolerates the control planes' own taint. Our cordons pass."""
    return any(
        node.ready
        and (not node.unschedulable or (node.cordoned is not None and not node.cordoned.unschedulable))
        and not any(
            taint.endswith(_NO_PODS) and taint.partition(":")[0].partition("=")[0] != _CONTROL_PLANE_TAINT
            for taint in node.taints
        )
        for node in api.nodes.values()
    )
