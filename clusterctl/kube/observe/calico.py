"""From the objects of Calico's operator to facts."""

from collections.abc import Mapping, Sequence
from typing import Any

from clusterctl.kube.connect.client import PATIENCE, Kube
from clusterctl.kube.connect.errors import ApiError
from clusterctl.model.facts import CalicoFacts, ComponentStatus

GROUP = "/apis/operator.tigera.io/v1"


def calico(kube: Kube, *, patience: float = PATIENCE) -> CalicoFacts | None:
    """Read what the operator was told and what it says; None, after one request, where its group is not served."""
    served = kube.find(GROUP, patience=patience)
    if served is None:
        return None
    kinds = frozenset(entry["name"] for entry in served.get("resources") or [] if "/" not in entry["name"])
    statuses = _items(kube, "tigerastatuses", kinds, patience)
    return calico_facts(
        kinds,
        _default(kube, "installations", kinds, patience),
        _default(kube, "apiservers", kinds, patience),
        statuses,
    )


def calico_facts(
    kinds: frozenset[str],
    installation: Mapping[str, Any] | None,
    api_server: Mapping[str, Any] | None,
    statuses: Sequence[Mapping[str, Any]],
) -> CalicoFacts:
    """Make facts of the operator's objects."""
    told = installation or {}
    return CalicoFacts(
        kinds=kinds,
        installation=None if installation is None else told.get("spec") or {},
        installation_generation=(told.get("metadata") or {}).get("generation", 0),
        version=(told.get("status") or {}).get("calicoVersion", ""),
        api_server=api_server is not None,
        api_server_generation=((api_server or {}).get("metadata") or {}).get("generation", 0),
        statuses={item["metadata"]["name"]: component_status(item) for item in statuses},
    )


def component_status(item: Mapping[str, Any]) -> ComponentStatus:
    """Read a TigeraStatus. A condition that is not there is not met; the oldest observation counts."""
    conditions = {entry["type"]: entry for entry in (item.get("status") or {}).get("conditions") or []}
    seen = [entry["observedGeneration"] for entry in conditions.values() if "observedGeneration" in entry]

    def holds(kind: str) -> bool:
        return bool(conditions.get(kind, {}).get("status") == "True")

    told = [
        conditions.get(kind, {})
        for kind, wrong in (("Degraded", True), ("Progressing", True), ("Available", False))
        if holds(kind) is wrong
    ]
    # The operator names each pod on a line of its own.
    said = [
        ": ".join(filter(None, (entry.get("reason"), "; ".join(entry.get("message", "").splitlines()))))
        for entry in told
    ]
    return ComponentStatus(
        available=holds("Available"),
        progressing=holds("Progressing"),
        degraded=holds("Degraded"),
        message=next(filter(None, said), ""),
        observed=min(seen) if seen else None,
    )


def _default(kube: Kube, kind: str, kinds: frozenset[str], patience: float) -> Mapping[str, Any] | None:
    return kube.find(f"{GROUP}/{kind}/default", patience=patience) if kind in kinds else None


def _items(kube: Kube, kind: str, kinds: frozenset[str], patience: float) -> list[dict[str, Any]]:
    if kind not in kinds:
        return []
    try:
        return kube.items(f"{GROUP}/{kind}", patience=patience)
    except ApiError as error:
        if error.status == 404:  # Its definition was removed since the group was listed.
            return []
        raise
