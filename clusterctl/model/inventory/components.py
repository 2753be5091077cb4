"""What the inventory says of the control plane's components and of kubeadm itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo

from clusterctl.model.inventory.strict import LocalFile, Strict, local_path, read_local

_SCALAR = (str, int, float, bool)
# kubeadm's own form: TARGET[SUFFIX][+PATCHTYPE].EXTENSION. (kubeadm.k8s.io/v1beta4, type Patches)
_PATCH = re.compile(
    r"(etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubeletconfiguration|corednsdeployment|"
    r"kubeproxydaemonset)[^+/]*(\+(strategic|merge|json))?\.(json|yaml)"
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One command-line argument of a component, without its dashes."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][-a-zA-Z0-9._]*$")]
    value: str


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _arguments(value: Any) -> Any:
    """A map, whose lists repeat an argument, becomes kubeadm's list of name and value."""
    if isinstance(value, Mapping):
        pairs = (
            (name, each) for name, given in value.items() for each in (given if isinstance(given, list) else [given])
        )
        return [{"name": str(name), "value": _text(each)} for name, each in pairs]
    if isinstance(value, list):
        return [
            {**item, "value": _text(item["value"])} if isinstance(item, Mapping) and "value" in item else item
            for item in value
        ]
    return value


ExtraArgs = Annotated[
    tuple[Argument, ...],
    BeforeValidator(_arguments, json_schema_input_type=dict[str, Any] | list[Argument]),
]


class Component(Strict):
    """More arguments of the controller manager, the scheduler or etcd: a map, or a list of name and value."""

    extra_args: ExtraArgs = ()


class ApiServer(Component):
    """More arguments of the API server, and more names and addresses in its certificate."""

    cert_sans: tuple[Annotated[str, Field(min_length=1)], ...] = ()


def _policy(value: Any, info: ValidationInfo) -> LocalFile:
    if isinstance(value, LocalFile):
        return value
    if value == "default":
        return LocalFile("default", "")
    path = local_path(value, info)
    file = read_local(path)
    try:
        policy = yaml.safe_load(file.content)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML") from error
    if not isinstance(policy, dict) or policy.get("kind") != "Policy" or not policy.get("rules"):
        raise ValueError(f"{path} is not an audit policy: it needs kind: Policy, and rules")
    return file


class Audit(Strict):
    """The API server's audit log. ``policy`` is a file, or ``default`` for clusterctl's own policy."""

    policy: Annotated[LocalFile, BeforeValidator(_policy, json_schema_input_type=str)] = Field(
        default="default", validate_default=True
    )


def _patches(value: Any, info: ValidationInfo) -> tuple[LocalFile, ...]:
    if isinstance(value, tuple):
        return value
    folder = local_path(value, info)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a directory")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    strange = [path.name for path in files if not _PATCH.fullmatch(path.name)]
    if strange:
        raise ValueError(
            f"{folder}: {', '.join(strange[:3])} is not the name of a patch: "
            "TARGET[SUFFIX][+strategic|+merge|+json].yaml, such as kube-apiserver0+merge.yaml"
        )
    return tuple(read_local(path) for path in files)


Patches = Annotated[tuple[LocalFile, ...], BeforeValidator(_patches, json_schema_input_type=str)]

# What our switches say to the API server; a user's own argument of that name would contradict them.
_OWNED = {
    "audit": ("audit-policy-file", "audit-log-path"),
    "encryption_at_rest": ("encryption-provider-config",),
    "feature_gates": ("feature-gates",),
}


def _is_on(switch: str, value: object) -> bool:
    return value is not None if switch == "audit" else bool(value)


def contradictions(cluster: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Arguments, in the raw data, that a switch of the inventory sets as well."""
    for component in ("api_server", "controller_manager", "scheduler"):
        section = cluster.get(component)
        given = section.get("extra_args") if isinstance(section, dict) else None
        names = list(given) if isinstance(given, dict) else []
        names += [item.get("name") for item in given if isinstance(item, dict)] if isinstance(given, list) else []
        for switch, owned in _OWNED.items():
            for name in owned:
                if name in names and _is_on(switch, cluster.get(switch)):
                    place = ("cluster", component, "extra_args")
                    yield place, f"cluster.{switch} sets {name} already; take one of them out"
