"""The desired state: one strict YAML file, read into frozen values.

Every mistake is reported at once, each with file, line, path and, for a misspelt key, a suggestion.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from clusterctl.errors import InputError
from clusterctl.model import components, endpoint
from clusterctl.model.components import ApiServer, Audit, Component, Patches
from clusterctl.model.drain import DrainOptions
from clusterctl.model.sources import Proxy, Sources
from clusterctl.model.strict import FOLDER, SecretSource
from clusterctl.model.strict import Strict as _Strict

Role = Literal["control-plane", "worker", "spare"]

# RFC 1123: what Kubernetes accepts as the name of a node, in either case; the node's name is lower case.
_DNS_NAME = re.compile(r"(?i)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_OLDEST_MINOR = 31  # The first whose kubeadm writes and reads kubeadm.k8s.io/v1beta4.
_CALICO = "https://raw.githubusercontent.com/projectcalico/calico"
# The release's operator-crds.yaml and tigera-operator.yaml.
_CALICO_DIGESTS = {
    "v3.32.1": (
        "192f8b2d934ef24b62e86b7e1a6e1762d1c8af26a916f78057bc13fa5ed60f71",
        "f18e073794207d372606bc3ea6f8fd73972f86d6828f4ba666dfe0d4aa8ab07f",
    )
}
# libyaml's, where PyYAML was built with it, is many times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KUBEADM_TAINT = "node-role.kubernetes.io/control-plane"


def _dns_name(value: str) -> str:
    if len(value) > 253 or not _DNS_NAME.fullmatch(value):
        raise ValueError("must be a DNS name: letters, digits, '-' and '.', at most 253 characters")
    return value


def _version(value: str) -> str:
    match = _VERSION.fullmatch(value.removeprefix("v"))
    if not match:
        raise ValueError("must be a full version such as 1.36.3")
    if (int(match[1]), int(match[2])) < (1, _OLDEST_MINOR):
        raise ValueError(f"must be 1.{_OLDEST_MINOR}.0 or newer, which speaks kubeadm.k8s.io/v1beta4")
    return value.removeprefix("v")


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


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be a network such as 10.10.0.0/16 ({error})") from error


def _endpoint(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be HOST:PORT such as k8s.example.internal:6443")
    bare = host.removeprefix("[").removesuffix("]")
    if (":" in bare) != (host == f"[{bare}]"):
        raise ValueError("must be HOST:PORT; an IPv6 address, and nothing else, stands in brackets: [fd00::11]:6443")
    bare = _address(bare)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _address(value: str) -> str:
    """An IP address in its usual form, or a DNS name."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if re.fullmatch(r"[\d.]+|.*:.*", value):  # Resolvers take 10.1 and 123 for IPv4 addresses written short.
        raise ValueError("is neither an IP address nor a DNS name")
    return _dns_name(value)


def _ip(value: str) -> str:
    if "%" in value:
        raise ValueError("must be an address that all nodes can reach, not one of a single link")
    return str(ipaddress.ip_address(value))


def _label_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if (slash and not _DNS_NAME.fullmatch(prefix)) or not _LABEL_NAME.fullmatch(name):
        raise ValueError(f"{key!r} is not a label key: an optional DNS prefix with '/', then at most 63 characters")


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        _label_key(key)
        if text and not _LABEL_NAME.fullmatch(text):
            raise ValueError(f"{text!r} is not a label value: at most 63 letters, digits, '-', '_', '.'")
    return value


def _taint(value: str) -> str:
    key_value, colon, effect = value.rpartition(":")
    key, _, text = key_value.partition("=")
    if not colon or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise ValueError("must be KEY[=VALUE]:EFFECT; EFFECT is NoSchedule, PreferNoSchedule or NoExecute")
    _label_key(key)
    if text and not _LABEL_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not the value of a taint")
    return value


_User = Annotated[str, Field(pattern=r"^[^\s-]\S*$")]
_Port = Annotated[int, Field(gt=0, lt=65536)]


class Source(_Strict):
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


class FlannelNetwork(_Strict):
    """flannel, VXLAN."""

    plugin: Literal["flannel"]
    version: Annotated[str, AfterValidator(_plugin_version)] = "v0.28.4"


class CalicoManifests(_Strict):
    """The two manifests of a Calico release that come before the cluster's own settings."""

    operator_crds: Source | None = None
    operator: Source | None = None


class CalicoNetwork(_Strict):
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


class ManifestsNetwork(_Strict):
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


class Containerd(_Strict):
    """Settings below containerd's two CRI plugins, merged over clusterctl's own.

    ``runtime`` is ``io.containerd.cri.v1.runtime``, ``images`` is ``io.containerd.cri.v1.images``.
    """

    runtime: dict[str, Any] = {}
    images: dict[str, Any] = {}


class Cluster(_Strict):
    """What the cluster shall be."""

    name: Annotated[str, AfterValidator(_dns_name)]
    kubernetes: Annotated[str, AfterValidator(_version)]
    endpoint: Annotated[str, AfterValidator(_endpoint)]
    virtual_ip: Annotated[str, AfterValidator(_ip)] | None = None
    pod_cidr: Annotated[str, AfterValidator(_cidr)] = "10.10.0.0/16"
    service_cidr: Annotated[str, AfterValidator(_cidr)] = "10.96.0.0/12"
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


class Bastion(_Strict):
    """A server through which the hosts are reached, and how it is logged in to."""

    address: Annotated[str, AfterValidator(_address)]
    user: _User | None = None
    key: Path | None = None
    port: _Port | None = None


class Ssh(_Strict):
    """How the hosts are logged in to. What is not said here, ``config`` may say: OpenSSH's own file."""

    user: _User | None = None
    key: Path | None = None
    known_hosts: Path = Path("~/.ssh/known_hosts")
    port: _Port | None = None
    config: Path = Path("~/.ssh/config")
    bastion: Bastion | None = None
    sudo_password: SecretSource | None = None


class Host(_Strict):
    """One machine that answers SSH."""

    name: Annotated[str, AfterValidator(_dns_name)]
    address: Annotated[str, AfterValidator(_address)]
    role: Role
    user: _User | None = None
    port: _Port | None = None
    internal_address: Annotated[str, AfterValidator(_ip)] | None = None
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = {}
    taints: tuple[Annotated[str, AfterValidator(_taint)], ...] = ()


class Inventory(_Strict):
    """The whole file: one cluster, how to log in, and its hosts."""

    cluster: Cluster
    ssh: Ssh = Ssh.model_construct()
    hosts: tuple[Host, ...]

    @property
    def control_planes(self) -> tuple[Host, ...]:
        """The hosts with the role ``control-plane``, in the inventory's order."""
        return tuple(host for host in self.hosts if host.role == "control-plane")

    @property
    def workers(self) -> tuple[Host, ...]:
        """The hosts with the role ``worker``, in the inventory's order."""
        return tuple(host for host in self.hosts if host.role == "worker")

    @property
    def nodes(self) -> tuple[Host, ...]:
        """The hosts that shall be nodes of the cluster: all but spares, of which nothing is asked."""
        return tuple(host for host in self.hosts if host.role != "spare")

    @property
    def pool(self) -> tuple[Host, ...]:
        """The hosts that may be workers: those that are, and the spares."""
        return tuple(host for host in self.hosts if host.role != "control-plane")

    @property
    def first_control_plane(self) -> Host:
        """The host on which ``kubeadm init`` runs."""
        return self.control_planes[0]

    def host(self, name: str) -> Host:
        """Return the host called ``name``.

        Raises InputError, with the names that exist, when there is none.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        raise InputError(
            f"the inventory has no host {name!r}",
            resolution=f"use one of: {', '.join(host.name for host in self.hosts)}",
        )


def with_roles(inventory: Inventory, roles: Mapping[str, Role]) -> Inventory:
    """The inventory with other roles for the hosts that ``roles`` names."""
    hosts = tuple(host.model_copy(update={"role": roles.get(host.name, host.role)}) for host in inventory.hosts)
    return inventory.model_copy(update={"hosts": hosts})


def with_drain(inventory: Inventory, changes: Mapping[str, bool | int]) -> Inventory:
    """The inventory with ``changes`` in its ``cluster.drain``. Raises InputError for a value that cannot be."""
    if not changes:
        return inventory
    try:
        options = DrainOptions.model_validate({**inventory.cluster.drain.model_dump(), **changes})
    except ValidationError as error:
        problems = [f"--{str(each['loc'][0]).replace('_', '-')}: {each['msg']}" for each in error.errors()]
        raise InputError("the options of the drain cannot be", details="\n".join(problems)) from error
    return inventory.model_copy(update={"cluster": inventory.cluster.model_copy(update={"drain": options})})


def load_inventory(path: Path) -> Inventory:
    """Read the inventory at ``path``.

    Raises InputError naming every mistake with its line when the file cannot be read, is no YAML or does not
    describe a cluster.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"there is no inventory {path}",
            resolution="copy inventory.example.yaml and edit it, or name another with -i FILE",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the inventory {path}: {error}") from error
    return parse_inventory(text, str(path))


def parse_inventory(text: str, source: str = "inventory.yaml") -> Inventory:
    """Read an inventory from ``text``; ``source`` is the file's name in errors. Raises InputError."""
    try:
        root = yaml.compose(text, Loader=_LOADER)
        data = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one.
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{source}{line}: not valid YAML: {problem}") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{source}: an inventory is a mapping with the keys cluster, ssh and hosts",
            resolution="start from inventory.example.yaml",
        )
    mistakes = list(_duplicate_keys(root)) + list(_contradictions(data))
    inventory = None
    try:
        inventory = Inventory.model_validate(data, context={FOLDER: Path(source).parent})
    except ValidationError as error:
        mistakes += [_mistake(dict(item)) for item in error.errors()]
    if mistakes or inventory is None:
        located = sorted((_line(root, place), _path(place), message) for place, message in mistakes)
        count = "1 mistake" if len(located) == 1 else f"{len(located)} mistakes"
        raise InputError(
            f"{source}: {count}",
            details="\n".join(f"{source}:{line}: {path}: {message}" for line, path, message in located),
            resolution="correct the file; `clusterctl inventory check` reads it without touching a host",
        )
    return inventory


_Place = tuple[str | int, ...]


def _mistake(error: Mapping[str, Any]) -> tuple[_Place, str]:
    # A tag such as <flannel> says which of several models was meant; the file knows no such key.
    place = tuple(part for part in error["loc"] if not _is_tag(part))
    match error["type"]:
        case "extra_forbidden":
            known = _fields_at(Inventory, error["loc"][:-1])
            close = get_close_matches(str(error["loc"][-1]), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
            return place, f"unknown key; {hint}"
        case "missing":
            return place, "is missing"
        case "value_error":
            return place, str(error["ctx"]["error"])
        case "union_tag_invalid":
            tag, known_tags = error["ctx"]["tag"].strip("<>"), error["ctx"]["expected_tags"]
            return (*place, "plugin"), f"must be {re.sub('[<>]', '', known_tags)}, not {tag!r}"
        case "literal_error":
            return place, f"must be {error['ctx']['expected']}, not {error['input']!r}"
        case "string_type":
            return place, f"must be text, not {error['input']!r}; put it in quotes"
        case _:
            message = str(error["msg"])
            return place, message[0].lower() + message[1:]


def _fields_at(model: type[BaseModel], place: _Place) -> list[str]:
    """The keys that a mapping at ``place`` may have."""
    for part, after in zip(place, (*place[1:], ""), strict=False):
        if isinstance(part, int) or _is_tag(part):
            continue
        field = model.model_fields.get(part)
        if field is None:  # The key of a free mapping, such as a registry's name.
            continue
        candidates = [field.annotation, *_arguments(field.annotation)]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        model = next((c for c in models if after in _tags(c)), models[0] if models else model)
    return list(model.model_fields)


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """How a model is tagged among several: by its plugin."""
    plugin = model.model_fields.get("plugin")
    return tuple(f"<{name}>" for name in get_args(plugin.annotation)) if plugin else ()


def _arguments(annotation: object) -> Iterator[object]:
    for argument in get_args(annotation):
        yield argument
        yield from _arguments(argument)


def _contradictions(data: Mapping[str, Any]) -> Iterator[tuple[_Place, str]]:
    """What no single field shows, found in the raw data, so that it is told together with the rest."""
    raw = data.get("hosts")
    hosts = [host if isinstance(host, dict) else {} for host in raw] if isinstance(raw, list) else []
    for key, normal in (("name", str.lower), ("address", _same), ("internal_address", _same)):
        seen = Counter(normal(str(host[key])) for host in hosts if host.get(key))
        for index, host in enumerate(hosts):
            if host.get(key) and seen[normal(str(host[key]))] > 1:
                yield ("hosts", index, key), f"{host[key]} is used by more than one host"
    control_planes = [index for index, host in enumerate(hosts) if host.get("role") == "control-plane"]
    if isinstance(raw, list) and not control_planes:
        yield ("hosts",), "at least one host needs the role control-plane"
    cluster = data.get("cluster")
    if isinstance(cluster, dict):
        yield from _families(cluster, hosts)
        yield from endpoint.contradictions(cluster, hosts)
        yield from _overlap(cluster)
        yield from components.contradictions(cluster)
        yield from _pools(cluster)


def _same(address: str) -> str:
    """An address as it is compared: the same one may be written in several ways."""
    with suppress(ValueError):
        return _address(address)
    return address


def _overlap(cluster: Mapping[str, Any]) -> Iterator[tuple[_Place, str]]:
    defaults = Cluster.model_fields
    try:
        pods, services = (
            ipaddress.ip_network(cluster.get(key, defaults[key].default)) for key in ("pod_cidr", "service_cidr")
        )
    except ValueError:
        return  # The field's own check tells it.
    if pods.version == services.version and pods.overlaps(services):
        yield ("cluster", "pod_cidr"), f"{pods} overlaps the service_cidr {services}"
    virtual_ip = endpoint.address(cluster.get("virtual_ip"))
    for key, network in (("pod_cidr", pods), ("service_cidr", services)):
        if virtual_ip is not None and virtual_ip in network:
            yield ("cluster", "virtual_ip"), f"{virtual_ip} is in the {key} {network}"


def _families(cluster: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[_Place, str]]:
    """Pods, services and nodes are all of IPv4 or all of IPv6; kubeadm refuses anything else, late."""
    version = _version_of(cluster.get("service_cidr", Cluster.model_fields["service_cidr"].default))
    if version is None:
        return
    given = {"pod_cidr": Cluster.model_fields["pod_cidr"].default, **cluster}
    for key in ("pod_cidr", "virtual_ip"):
        if _version_of(given.get(key)) not in (None, version):
            yield ("cluster", key), f"must be of IPv{version}, as the service_cidr is"
    for index, host in enumerate(hosts):
        if _version_of(host.get("internal_address")) not in (None, version):
            yield ("hosts", index, "internal_address"), f"must be of IPv{version}, as the service_cidr is"


def _version_of(network: object) -> int | None:
    try:
        return ipaddress.ip_network(str(network)).version
    except ValueError:
        return None


def _pools(cluster: Mapping[str, Any]) -> Iterator[tuple[_Place, str]]:
    """Calico hands out addresses of any pool; nodes and kube-proxy expect those of the pod_cidr."""
    place: _Place = ("network", "installation", "calicoNetwork", "ipPools")
    pools: Any = cluster
    for part in place:
        pools = pools.get(part) if isinstance(pools, dict) else None
    try:
        pods = ipaddress.ip_network(cluster.get("pod_cidr", Cluster.model_fields["pod_cidr"].default))
    except ValueError:
        return
    for index, pool in enumerate(pools if isinstance(pools, list) else []):
        problem = pool_problem(str(pool.get("cidr", "")) if isinstance(pool, dict) else "", str(pods))
        if problem:
            yield ("cluster", *place, index), problem


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


def _duplicate_keys(node: yaml.Node | None, place: _Place = ()) -> Iterator[tuple[_Place, str]]:
    if isinstance(node, yaml.MappingNode):
        counts = Counter(key.value for key, _ in node.value)
        for key, count in counts.items():
            if count > 1:
                yield (*place, key), "the key is given more than once"
        for key, value in node.value:
            yield from _duplicate_keys(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _duplicate_keys(value, (*place, index))


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """The line, from 1, of what ``place`` names, or of the nearest thing around it that exists."""
    line = node.start_mark.line + 1 if node else 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _path(place: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")
