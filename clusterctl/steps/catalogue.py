"""Every step there is, in the order in which they are told.

``phase/step`` is the class ``Step`` in ``steps/phase/step.py``. It is imported when it is asked for, so that a playbook
pays for its own steps alone.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from clusterctl.steps.step import Step

NAMES = (
    "preflight/system",
    "preflight/resources",
    "preflight/hostname",
    "preflight/machine-id",
    "preflight/product-uuid",
    "preflight/mac-address",
    "preflight/ssh-host-keys",
    "preflight/clock",
    "preflight/time-service",
    "preflight/disk-space",
    "preflight/etcd-disk",
    "preflight/address",
    "preflight/unique-address",
    "preflight/cidrs",
    "preflight/ports",
    "preflight/reach",
    "preflight/mtu",
    "preflight/endpoint",
    "preflight/control-planes",
    "preflight/virtual-ip",
    "preflight/packages",
    "preflight/docker",
    "preflight/source",
    "preflight/registries",
    "preflight/leftovers",
    "preflight/settings",
    "preflight/spares",
    "os/proxy",
    "os/swap-off",
    "os/modules",
    "os/sysctl",
    "runtime/repository",
    "runtime/containerd",
    "packages/repository",
    "packages/kubernetes",
    "runtime/config",
    "runtime/images",
    "kubeadm/patches",
    "endpoint/haproxy",
    "endpoint/keepalived",
    "endpoint/leave",
    "endpoint/rejoin",
    "api-server/encryption-key",
    "api-server/audit-policy",
    "control-plane/init",
    "control-plane/join",
    "control-plane/ready",
    "network/flannel",
    "network/calico-crds",
    "network/calico-operator",
    "network/calico",
    "network/manifests",
    "workers/join",
    "nodes/labels",
    "nodes/taints",
    "nodes/ready",
    "nodes/routes",
    "nodes/cordon",
    "nodes/drain",
    "nodes/uncordon",
    "network/ready",
    "control-plane/add-ons",
    "control-plane/join-tokens",
    "upgrade/versions",
    "upgrade/skew",
    "upgrade/package-manager",
    "upgrade/nodes",
    "upgrade/control-plane",
    "upgrade/etcd-health",
    "upgrade/etcd-version",
    "upgrade/certificates",
    "upgrade/disk-space",
    "upgrade/removed-apis",
    "upgrade/feature-gates",
    "upgrade/kubelet-flags",
    "upgrade/cgroups",
    "upgrade/runtime",
    "upgrade/network-plugin",
    "upgrade/old-marks",
    "upgrade/snapshot",
    "drain/budgets",
    "drain/unmanaged",
    "drain/emptydir",
    "drain/placement",
    "drain/losses",
    "drain/evictable",
    "upgrade/soft-taint",
    "upgrade/repository",
    "upgrade/kubeadm",
    "upgrade/apply",
    "upgrade/node",
    "upgrade/static-pods",
    "upgrade/packages",
    "upgrade/drain",
    "upgrade/kubelet",
    "upgrade/uncordon",
    "upgrade/settled",
    "upgrade/leftovers",
    "workers/local-data",
    "workers/replaced",
    "workers/drain",
    "workers/remove",
    "workers/reset",
    "reboot/drain",
    "reboot/leave",
    "reboot/restart",
    "reboot/ready",
    "reboot/uncordon",
    "os-update/lists",
    "os-update/drain",
    "os-update/packages",
    "os-update/leave",
    "os-update/restart",
    "os-update/uncordon",
)


class Catalogue(Mapping[str, Step]):
    """The steps by their names. A step is one object, however often it is asked for."""

    def __getitem__(self, name: str) -> Step:
        if name not in NAMES:
            raise KeyError(name)
        return _step(name)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


@cache
def _step(name: str) -> Step:
    phase, _, own = name.replace("-", "_").partition("/")
    module = import_module(f"clusterctl.steps.{phase}.{own}")
    step: Step = getattr(module, own.title().replace("_", ""))()
    return step


CATALOGUE = Catalogue()
