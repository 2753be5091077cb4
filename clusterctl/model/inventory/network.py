"""The network plugin, as the inventory chooses it."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from clusterctl.model.inventory.strict import Strict

_CALICO = "https://raw.githubusercontent.com/projectcalico/calico"
# The release's operator-crds.yaml and tigera-operator.yaml.
_CALICO_DIGESTS = {
    "v3.32.1": (
        "192f8b2d934ef24b62e86b7e1a6e1762d1c8af26a916f78057bc13fa5ed60f71",
        "f18e073794207d372606bc3ea6f8fd73972f86d6828f4ba666dfe0d4aa8ab07f",
    )
}


def _plugin_version(value: str) -> str:
    if not re.fullmatch(r"v\d+\.\d+\.\d+", value):
        raise ValueError("must be a full version such as v3.32.1")
    return value


def _mtu(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 576 <= value <= 65535):
        return value
    raise ValueError("must be auto, or a number from 576 to 65535")


def _some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("needs at least one")
    return value


def _with_slash(value: str) -> str:
    return value.rstrip("/") + "/"


class Source(Strict):
    """A manifest: its address, or a file on the operator's computer, and always its digest."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    file: Path | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("needs either url or file")
        return self

    def __str__(self) -> str:
        return self.url or str(self.file)


class FlannelNetwork(Strict):
    """flannel, VXLAN."""

    plugin: Literal["flannel"]
    version: Annotated[str, AfterValidator(_plugin_version)] = "v0.28.4"


class CalicoManifests(Strict):
    """The two manifests of a Calico release that come before the cluster's own settings."""

    operator_crds: Source | None = None
    operator: Source | None = None


class CalicoNetwork(Strict):
    """Calico by its operator, VXLAN without BGP.

    ``installation`` are fields of the Installation's spec, merged over clusterctl's own.
    """

    plugin: Literal["calico"] = "calico"
    version: Annotated[str, AfterValidator(_plugin_version)] = "v3.32.1"
    encapsulation: Literal["VXLAN", "VXLANCrossSubnet"] = "VXLAN"
    mtu: Annotated[int | str, BeforeValidator(_mtu)] = "auto"
    registry: Annotated[str, Field(pattern=r"^[^\s/]\S*$"), AfterValidator(_with_slash)] | None = None
    kubelet_volume_plugin_path: Annotated[str, Field(pattern=r"^(None|/\S+)$")] | None = None
    installation: dict[str, Any] = {}
    manifests: CalicoManifests = CalicoManifests.model_construct()

    @model_validator(mode="after")
    def _digests_known(self) -> Self:
        given = self.manifests
        if self.version not in _CALICO_DIGESTS and (given.operator_crds is None or given.operator is None):
            raise ValueError(
                f"clusterctl knows the digests of Calico {', '.join(_CALICO_DIGESTS)}; for {self.version} give "
                "manifests.operator_crds and manifests.operator, each with url or file, and sha256"
            )
        return self

    @property
    def operator_crds(self) -> Source:
        """The definitions of the operator's kinds."""
        return self.manifests.operator_crds or self._official("operator-crds.yaml", 0)

    @property
    def operator(self) -> Source:
        """The operator itself."""
        return self.manifests.operator or self._official("tigera-operator.yaml", 1)

    def _official(self, name: str, place: int) -> Source:
        return Source(url=f"{_CALICO}/{self.version}/manifests/{name}", sha256=_CALICO_DIGESTS[self.version][place])


class ManifestsNetwork(Strict):
    """A network plugin of the operator's own choice: its manifests, in the order in which they are applied."""

    plugin: Literal["manifests"]
    manifests: Annotated[tuple[Source, ...], AfterValidator(_some)]


def _plugin(value: Any) -> str:
    """Which of the networks is meant, as its tag; calico when the inventory does not say."""
    return f"<{value.get('plugin', 'calico') if isinstance(value, Mapping) else getattr(value, 'plugin', 'calico')}>"


Network = Annotated[
    Annotated[CalicoNetwork, Tag("<calico>")]
    | Annotated[FlannelNetwork, Tag("<flannel>")]
    | Annotated[ManifestsNetwork, Tag("<manifests>")],
    Discriminator(_plugin),
]


def pool_problem(cidr: str, pod_cidr: str) -> str:
    """Why an address pool with this network cannot serve the pods, or nothing."""
    pods = ipaddress.ip_network(pod_cidr)
    try:
        pool = ipaddress.ip_network(cidr)
    except ValueError:
        return f"the pool's cidr {cidr!r} is not a network such as {pods}"
    if pool.version != pods.version or not pool.subnet_of(pods):  # type: ignore[arg-type]
        return f"the pool {pool} is outside the pod_cidr {pods}"
    return ""
