"""The machines of the inventory."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from clusterctl.model.inventory.strict import Strict
from clusterctl.model.inventory.values import DNS_NAME, Port, User, address, dns_name, ip

Role = Literal["control-plane", "worker", "spare"]
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def _label_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if (slash and not DNS_NAME.fullmatch(prefix)) or not _LABEL_NAME.fullmatch(name):
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


class Host(Strict):
    """One machine that answers SSH."""

    name: Annotated[str, AfterValidator(dns_name)]
    address: Annotated[str, AfterValidator(address)]
    role: Role
    user: User | None = None
    port: Port | None = None
    internal_address: Annotated[str, AfterValidator(ip)] | None = None
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = {}
    taints: tuple[Annotated[str, AfterValidator(_taint)], ...] = ()
