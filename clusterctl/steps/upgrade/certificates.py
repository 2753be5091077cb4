"""Check when certificates end."""

from clusterctl.model.outlook import expiry
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import AT_TARGET

_DAY = 86400.0
_AUTHORITIES = (
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/front-proxy-ca.crt",
    "/etc/kubernetes/pki/etcd/ca.crt",
)
_KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
# Days before their end at which certificates are worth a word.
_AUTHORITY_SOON, _SOON = 365, 30


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
