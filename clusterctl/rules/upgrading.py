"""Which versions a host runs, and what kubeadm has done there. Pure."""

from clusterctl.model.facts import HostFacts
from clusterctl.model.places import STATIC_PODS, UPGRADED
from clusterctl.model.situation import Situation, node_name
from clusterctl.rules.packages import installed
from clusterctl.rules.versions import at_least, image_version, minor

# Those of the static pods whose version is the cluster's; etcd has one of its own.
COMPONENTS = tuple(name for name in STATIC_PODS if name != "etcd")


def has_older_kubelet(situation: Situation) -> bool:
    """Whether the node's kubelet is older than the wanted version, so that an upgrade drains it."""
    running = situation.node.kubelet_version if situation.node else ""
    return bool(running) and not at_least(running, situation.cluster.kubernetes)


def api_server(situation: Situation) -> str:
    """The version of this control plane's API server, by its manifest, else as the API says; or empty."""
    return image_version(situation.facts.static_pods.get("kube-apiserver", "")) or (
        situation.api.version if situation.api else ""
    )


def begun(situation: Situation) -> bool:
    """Whether the upgrade to the wanted version has begun on this host: kubeadm comes first."""
    package = situation.facts.packages.get("kubeadm")
    return package is not None and at_least(package.version, situation.cluster.kubernetes)


def kubelet_through(situation: Situation) -> str:
    """What shows that the node's kubelet is at the wanted version, or empty while it is not."""
    return f"its kubelet is {situation.node.kubelet_version}" if situation.node and kubelet_done(situation) else ""


def component_versions(facts: HostFacts) -> tuple[str, ...]:
    """The versions of the control plane's components in the host's manifests; none on a worker."""
    return tuple(image_version(facts.static_pods.get(name, "")) for name in COMPONENTS if facts.static_pods)


def level(facts: HostFacts) -> str:
    """The version that kubeadm brought the host to: the newer one of its mark and of the kubelet's package."""
    mark, kubelet = (facts.file(UPGRADED) or "").strip(), installed(facts, "kubelet")
    return mark if mark and not at_least(kubelet, mark) else kubelet


def reached(situation: Situation) -> str:
    """The version that a host which was passed is at."""
    versions = component_versions(situation.facts)
    return versions[0] if versions else level(situation.facts)


def passed(situation: Situation) -> bool:
    """Whether kubeadm has done on this host what it has to do for the wanted version."""
    wanted, facts = situation.cluster.kubernetes, situation.facts
    if situation.host.role != "control-plane":
        return at_least(level(facts), wanted)
    versions = component_versions(facts)
    if not versions or not all(at_least(version, wanted) for version in versions):
        return False
    # A control plane that is a minor ahead has nothing to do with a kubeadm of this one any more.
    return at_least(level(facts), wanted) or all(minor(version) > minor(wanted) for version in versions)


def older_control_planes(situation: Situation) -> tuple[str, ...]:
    """The control planes that are not known to run the wanted version or a newer one, with what they run."""
    wanted, found = situation.cluster.kubernetes, []
    for host in situation.inventory.control_planes:
        versions = control_plane_versions(situation, host.name)
        old = [version or "an unknown version" for version in versions if not at_least(version, wanted)]
        if old or not versions:
            found.append(f"{host.name} runs {old[0]}" if old else f"{host.name} was not looked at")
    return tuple(found)


def control_plane_versions(situation: Situation, host: str) -> tuple[str, ...]:
    """The versions of a control plane's components; of a host that was not reached, as the API shows its pods.

    Its node is then taken to bear the host's name.
    """
    if host in situation.all_facts:
        return component_versions(situation.all_facts[host])
    images = situation.api.static_pod_images if situation.api else {}
    found = (images.get(f"{name}-{host.lower()}") for name in COMPONENTS)
    return tuple(image_version(image) for image in found if image)


def kubelet_done(situation: Situation) -> bool:
    """Whether the kubelet of the wanted version, or of a newer one, is installed and runs, as its node says."""
    wanted, package = situation.cluster.kubernetes, situation.facts.packages.get("kubelet")
    running = situation.node.kubelet_version if situation.node else ""
    return at_least(running, wanted) and package is not None and package.intact and at_least(package.version, wanted)


def cluster_version(situation: Situation) -> str:
    """The version in kubeadm's configuration, as the cluster keeps it."""
    settings = situation.api.settings.get("ClusterConfiguration", {}) if situation.api else {}
    return str(settings.get("kubernetesVersion", "")).removeprefix("v")


def lagging_pods(situation: Situation, host: str) -> str:
    """What is missing until the control plane pods of a host are those of its manifests and ready."""
    facts = situation.all_facts[host]
    api = situation.api
    for name, image in facts.static_pods.items():
        pod = f"{name}-{node_name(facts)}"
        if api is None or name not in STATIC_PODS:
            continue
        if pod not in api.static_pods:
            return f"{pod} is missing"
        if api.static_pod_images.get(pod) != image:
            return f"{pod} still runs {api.static_pod_images.get(pod)}"
        if not api.static_pods[pod]:
            return f"{pod} is not ready"
    return ""
