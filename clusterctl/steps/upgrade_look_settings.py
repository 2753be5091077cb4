"""Findings before an upgrade about what the new version no longer knows, and about what ends by itself."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from clusterctl.model.inventory import CalicoNetwork
from clusterctl.model.outlook import expiry
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.model.versions import minor
from clusterctl.steps.finding import Finding
from clusterctl.steps.network import CALICO_NODE, FLANNEL
from clusterctl.steps.places import KUBELET_ENVIRONMENT
from clusterctl.steps.upgrade_look import AT_TARGET

_DAY = 86400.0
_AUTHORITIES = (
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/front-proxy-ca.crt",
    "/etc/kubernetes/pki/etcd/ca.crt",
)
_KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
# Days before their end at which certificates are worth a word.
_AUTHORITY_SOON, _SOON = 365, 30

# kubeadm's own feature gates, by the minor that no longer knows them: it refuses a configuration that names one.
_KUBEADM_GATES = {
    (1, 36): ("ControlPlaneKubeletLocalMode",),
    (1, 37): ("PublicKeysECDSA", "NodeLocalCRISocket"),
}
# The kubelet's flags, by the minor without them: it does not start with one. --pod-infra-container-image, which 1.35
# gave up, is taken out by kubeadm.
_KUBELET_FLAGS = {
    (1, 37): (
        "application-metrics-count-limit",
        "boot-id-file",
        "container-hints",
        "containerd",
        "containerd-namespace",
        "enable-load-reader",
        "event-storage-age-limit",
        "event-storage-event-limit",
        "global-housekeeping-interval",
        "log-cadvisor-usage",
        "machine-id-file",
        "storage-driver-buffer-duration",
        "storage-driver-db",
        "storage-driver-host",
        "storage-driver-password",
        "storage-driver-secure",
        "storage-driver-table",
        "storage-driver-user",
    ),
}
# The newest Kubernetes that a release of Calico is tested with, by its documentation.
_CALICO = {(3, 29): (1, 32), (3, 31): (1, 35), (3, 32): (1, 36), (3, 33): (1, 37)}


class RemovedApis(Finding):
    """Nobody uses an API that the new version no longer serves."""

    name = "upgrade/removed-apis"
    title = "Check for the use of APIs that will be gone"

    def find(self, situation: Situation) -> Verdict:
        """What this API server was asked for since it started, by its own metrics."""
        outlook, wanted = situation.facts.outlook, minor(situation.cluster.kubernetes)
        if situation.host.role != "control-plane":
            return Satisfied("a worker serves none")
        if outlook is None:
            return AT_TARGET
        if outlook.deprecated is None:
            return Satisfied("the API server's metrics could not be read here", warning=True)
        gone = [api for api in outlook.deprecated if minor(api.removed) <= wanted]
        if gone:
            return Blocked(
                f"was asked for, and is gone with {situation.cluster.minor}: "
                + ", ".join(f"{api.name} (removed in {api.removed})" for api in gone),
                "find who does: the audit log marks such requests with k8s.io/deprecated, and managedFields of the "
                "objects name their writers; when nobody does any more, restart the API server, or ignore this finding",
            )
        later = ", ".join(f"{api.name} goes with {api.removed}" for api in outlook.deprecated)
        return Satisfied(f"in use: {later}", warning=True) if later else Satisfied("none is in use")


class FeatureGates(Finding):
    """The feature gates of the cluster are ones that the new version knows."""

    name = "upgrade/feature-gates"
    title = "Check the feature gates"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """kubeadm's by a table; the components' by their stage in the API server that runs: what is GA goes soon."""
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if situation.api is None:
            return Unknown(situation.api_problem)
        config = situation.api.settings.get("ClusterConfiguration", {})
        kubeadm = config.get("featureGates") or {}
        gone = [name for name in _gone(_KUBEADM_GATES, situation) if name in kubeadm]
        if gone:
            return Blocked(
                f"kubeadm of {situation.cluster.minor} does not know the feature gate {', '.join(gone)}",
                "take it out of featureGates: kubectl -n kube-system edit configmap kubeadm-config",
            )
        outlook = situation.facts.outlook
        stages = (outlook.gates if outlook else None) or {}
        done = sorted(name for name in _component_gates(situation.api.settings) if stages.get(name) == "GA")
        if done:
            return Satisfied(
                f"set although they are part of Kubernetes now, and unknown to a coming version: {', '.join(done)}",
                warning=True,
            )
        return Satisfied("nothing is known against them")


class KubeletFlags(Finding):
    """The kubelet's flags are ones that the new version knows."""

    name = "upgrade/kubelet-flags"
    title = "Check the kubelet's flags"

    def find(self, situation: Situation) -> Verdict:
        """Those of kubeadm and those of the operator."""
        words = [
            word.strip("\"'").lstrip("-").partition("=")[0]
            for path in KUBELET_ENVIRONMENT
            for line in (situation.facts.file(path) or "").splitlines()
            if not line.startswith("#")
            for word in line.partition("=")[2].split()
        ]
        gone = sorted(set(_gone(_KUBELET_FLAGS, situation)) & set(words))
        if gone:
            return Blocked(
                f"the kubelet of {situation.cluster.minor} does not start with --{', --'.join(gone)}",
                f"take it out on this host: {' or '.join(map(shlex.quote, KUBELET_ENVIRONMENT))}",
            )
        return Satisfied("nothing is known against them")


class NetworkPlugin(Finding):
    """The network plugin is tested with the new Kubernetes."""

    name = "upgrade/network-plugin"
    title = "Check the network plugin's version"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """Calico's documentation names Kubernetes' versions; flannel's does not. The inventory's is brought before."""
        api, wanted = situation.api, situation.cluster.minor
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if api is None:
            return Unknown(situation.api_problem)
        if api.calico is not None and CALICO_NODE in api.workloads:
            network = situation.cluster.network
            version = network.version if isinstance(network, CalicoNetwork) else api.calico.version
            newest = _CALICO.get(minor(version)) if version else None
            if newest is None:
                return Satisfied(
                    f"Calico {version or 'of an unknown version'}: see whether it knows {wanted}", warning=True
                )
            if minor(wanted) > newest:
                return Blocked(
                    f"Calico {version} is tested with Kubernetes up to {newest[0]}.{newest[1]}, not with {wanted}",
                    "set cluster.network.version to a newer release: the upgrade brings it before",
                )
            before = f" in place of {api.calico.version}" if version != api.calico.version else ""
            return Satisfied(f"Calico {version}{before} knows {wanted}")
        if flannel := api.workloads.get(FLANNEL):
            image = next(iter(flannel.images), "").rpartition("/")[2]
            return Satisfied(f"{image or 'flannel'}, which names no versions of Kubernetes")
        return Satisfied(f"a plugin that clusterctl does not know: see whether it knows {wanted}", warning=True)


class Certificates(Finding):
    """No certificate has ended, and no authority ends soon."""

    name = "upgrade/certificates"
    title = "Check when certificates end"

    def find(self, situation: Situation) -> Verdict:
        """By this host's clock. kubeadm renews a control plane's, the kubelet its own, nobody the authorities."""
        outlook, now = situation.facts.outlook, situation.facts.now
        if outlook is None:
            return AT_TARGET
        left = {
            path: (end - now) / _DAY
            for path, certificate in outlook.certificates.items()
            if (end := expiry(certificate)) is not None
        }
        ended = sorted(path for path, days in left.items() if days <= 0)
        if ended:
            return Blocked(
                f"has ended: {', '.join(f'{path} ({-left[path]:.0f} days ago)' for path in ended)}", _remedy(ended)
            )
        soon = sorted(
            path for path, days in left.items() if days < (_AUTHORITY_SOON if path in _AUTHORITIES else _SOON)
        )
        if soon:
            told = ", ".join(f"{path} in {left[path]:.0f} days" for path in soon)
            renewed = set(soon).isdisjoint({*_AUTHORITIES, _KUBELET_CLIENT})
            return Satisfied(f"ends: {told}{'; the upgrade renews it' if renewed else ''}", warning=True)
        return Satisfied(
            f"the first of {len(left)} ends in {min(left.values()):.0f} days" if left else "none was found"
        )


def _remedy(ended: list[str]) -> str:
    if not set(ended).isdisjoint(_AUTHORITIES):
        return (
            "a certificate authority is renewed by hand: "
            "https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/"
        )
    if _KUBELET_CLIENT in ended:
        return "let the node join anew: kubeadm reset -f on it, then clusterctl bootstrap"
    return "renew them on this host: sudo kubeadm certs renew all; then restart its static pods"


def _gone(table: Mapping[tuple[int, int], tuple[str, ...]], situation: Situation) -> Iterator[str]:
    """What the wanted version no longer knows."""
    wanted = minor(situation.cluster.kubernetes)
    return (name for since, names in table.items() if since <= wanted for name in names)


def _component_gates(settings: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The feature gates that kubelets and control plane are given."""
    names = set(settings.get("KubeletConfiguration", {}).get("featureGates") or {})
    config = settings.get("ClusterConfiguration", {})
    for component in ("apiServer", "controllerManager", "scheduler"):
        for argument in (config.get(component) or {}).get("extraArgs") or ():
            if isinstance(argument, Mapping) and argument.get("name") == "feature-gates":
                names |= {pair.partition("=")[0] for pair in str(argument.get("value")).split(",")}
    return names
