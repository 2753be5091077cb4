"""A node's labels, taints and marks: how they are written, which ones are clusterctl's. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from clusterctl.model.facts import Cordon

OWNED_ANNOTATION = "clusterctl.io/owned"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""The label of a control plane's node, and the key of its taint."""
CORDONED_ANNOTATION = "clusterctl.io/cordoned"


@dataclass(frozen=True, slots=True)
class Owned:
    """The labels and taints of a node that clusterctl set. Taints are written ``KEY[=VALUE]:EFFECT``."""

    labels: frozenset[str] = frozenset()
    taints: frozenset[str] = frozenset()

    def text(self) -> str:
        """What stands in the annotation."""
        return json.dumps({"labels": sorted(self.labels), "taints": sorted(self.taints)})


def owned(annotations: Mapping[str, str] | None) -> Owned:
    """Read the annotation. One that somebody spoilt owns nothing."""
    try:
        data = json.loads((annotations or {}).get(OWNED_ANNOTATION, "{}"))
        return Owned(_texts(data.get("labels", [])), _texts(data.get("taints", [])))
    except (ValueError, AttributeError, TypeError):
        return Owned()


def cordoned(annotations: Mapping[str, str] | None) -> Cordon | None:
    """Read the mark of a cordon. One that somebody spoilt is none."""
    try:
        data = json.loads((annotations or {})[CORDONED_ANNOTATION])
        return Cordon(str(data["by"]), str(data["at"]), bool(data["unschedulable"]), data.get("drained") is True)
    except (KeyError, ValueError, TypeError):
        return None


def cordon_text(mark: Cordon) -> str:
    """What stands in the annotation."""
    return json.dumps(asdict(mark))


def _texts(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))


def taint_text(taint: Mapping[str, Any]) -> str:
    """Write a taint of the API as ``KEY[=VALUE]:EFFECT``."""
    value = taint.get("value")
    return f"{taint['key']}={value}:{taint['effect']}" if value else f"{taint['key']}:{taint['effect']}"


def parse_taint(text: str) -> dict[str, str]:
    """Read ``KEY[=VALUE]:EFFECT`` as the API's taint."""
    key_value, _, effect = text.rpartition(":")
    key, _, value = key_value.partition("=")
    return {"key": key, "value": value, "effect": effect} if value else {"key": key, "effect": effect}


def change_taints(
    present: Iterable[Mapping[str, Any]], *, add: Iterable[str], remove: Iterable[str]
) -> list[dict[str, Any]]:
    """The taints after a change. A node has one taint for a key and an effect; all others stay as they are."""
    wanted = {text: parse_taint(text) for text in add}
    taken = {(taint["key"], taint["effect"]) for taint in wanted.values()}
    dropped = set(remove)
    kept = {}
    for taint in present:
        text = taint_text(taint)
        if text in wanted or (text not in dropped and (taint["key"], taint["effect"]) not in taken):
            kept[text] = dict(taint)
    return [*kept.values(), *(taint for text, taint in wanted.items() if text not in kept)]
