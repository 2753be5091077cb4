"""What the cluster shall be."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from clusterctl.model.inventory.components import ApiServer, Audit, Component, Patches
from clusterctl.model.inventory.drain import DrainOptions
from clusterctl.model.inventory.network import CalicoNetwork, Network
from clusterctl.model.inventory.sources import Proxy, Sources
from clusterctl.model.inventory.strict import Strict
from clusterctl.model.inventory.values import address, cidr, dns_name, ip

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_OLDEST_MINOR = 31  # The first whose kubeadm writes and reads kubeadm.k8s.io/v1beta4.


def _version(value: str) -> str:
    match = _VERSION.fullmatch(value.removeprefix("v"))
    if not match:
        raise ValueError("must be a full version such as 1.36.3")
    if (int(match[1]), int(match[2])) < (1, _OLDEST_MINOR):
        raise ValueError(f"must be 1.{_OLDEST_MINOR}.0 or newer, which speaks kubeadm.k8s.io/v1beta4")
    return value.removeprefix("v")


def _endpoint(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be HOST:PORT such as k8s.example.internal:6443")
    bare = host.removeprefix("[").removesuffix("]")
    if (":" in bare) != (host == f"[{bare}]"):
        raise ValueError("must be HOST:PORT; an IPv6 address, and nothing else, stands in brackets: [fd00::11]:6443")
    bare = address(bare)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


class Containerd(Strict):
    """Settings below containerd's two CRI plugins, merged over clusterctl's own.

    ``runtime`` is ``io.containerd.cri.v1.runtime``, ``images`` is ``io.containerd.cri.v1.images``.
    """

    runtime: dict[str, Any] = {}
    images: dict[str, Any] = {}


class Cluster(Strict):
    """What the cluster shall be."""

    name: Annotated[str, AfterValidator(dns_name)]
    kubernetes: Annotated[str, AfterValidator(_version)]
    endpoint: Annotated[str, AfterValidator(_endpoint)]
    virtual_ip: Annotated[str, AfterValidator(ip)] | None = None
    pod_cidr: Annotated[str, AfterValidator(cidr)] = "10.10.0.0/16"
    service_cidr: Annotated[str, AfterValidator(cidr)] = "10.96.0.0/12"
    network: Network = CalicoNetwork.model_construct()
    sources: Sources = Sources.model_construct()
    proxy: Proxy | None = None
    kubelet: dict[str, Any] = {}
    kube_proxy: dict[str, Any] = {}
    containerd: Containerd = Containerd.model_construct()
    api_server: ApiServer = ApiServer.model_construct()
    controller_manager: Component = Component.model_construct()
    scheduler: Component = Component.model_construct()
    etcd: Component = Component.model_construct()
    feature_gates: dict[str, bool] = {}
    patches: Patches = ()
    encryption_at_rest: bool = False
    audit: Audit | None = None
    drain: DrainOptions = DrainOptions.model_construct()
    ignore_preflight_errors: tuple[str, ...] = ()

    @property
    def minor(self) -> str:
        """The minor version, such as ``1.36``."""
        return self.kubernetes.rpartition(".")[0]
