"""What to do when a script failed, by what its programs said: the troubles that packages and images run into."""

import re

from clusterctl.model.situation import Situation

# What a host says, and what to do about it. The first that matches counts.
_TROUBLES = (
    (
        r"no space left on device|don't have enough free space",
        "make room on {host}: ssh {address} df -h / /var /var/lib/containerd",
    ),
    (
        r"dpkg was interrupted|dpkg --configure -a",
        "finish the interrupted installation: ssh {address} sudo dpkg --configure -a",
    ),
    (
        r"waited \d+ s in vain|could not get lock|is another process using it",
        "let that process end, or see what it does: ssh {address} ps -fp PROCESS",
    ),
    (
        r"which the inventory expects|no valid openpgp data|no_pubkey|expkeysig|is not signed|signatures were invalid",
        "compare the key with the one that the repository's owner publishes, and correct its fingerprint or its "
        "address in cluster.sources",
    ),
    (
        r"version '.*' for '.*' was not found|unable to locate package|has no installation candidate",
        "see what {host} can have: ssh {address} apt-cache policy PACKAGE; correct cluster.kubernetes or "
        "cluster.sources",
    ),
    (
        r"/v2/.*x509:",
        "name the certificate of the registry's authority: ca_file of the host in cluster.sources.registries",
    ),
    (
        r"/v2/.*http response to https client",
        "that registry speaks no TLS: set http of it in cluster.sources.registries, or http:// in a mirror's address",
    ),
    (
        r"401 unauthorized|403 forbidden|authorization failed|insufficient_scope|no basic auth|pull access denied",
        "correct username and password of the host in cluster.sources.registries",
    ),
    (
        r"upgrade-health-check",
        "kubeadm runs a pod in kube-system before it upgrades: a node has to take pods and to pull the pause image; "
        "see why it did not end: kubectl -n kube-system get events",
    ),
    (
        r"failed to (resolve|pull|fetch)|curl: \(\d+\)|unable to connect to",
        "try that address from {host}; cluster.sources names other sources and mirrors, cluster.proxy a proxy",
    ),
)


def next_step(situation: Situation, said: str) -> str:
    """What to do about what a host said when a script failed there; empty when we know of nothing."""
    host = situation.host
    for pattern, advice in _TROUBLES:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{advice.format(host=host.name, address=host.address)}; then run the same command again"
    return ""
