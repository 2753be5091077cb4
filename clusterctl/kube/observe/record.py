"""What clusterctl has applied to a cluster, as the cluster keeps it: one ConfigMap, one key for each set of manifests.

Of a large stream no single object tells that all of it is there; the record does, because it is written last.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clusterctl.model.facts import Applied

APPLIED_NAME = "clusterctl-applied"
APPLIED = f"/api/v1/namespaces/kube-system/configmaps/{APPLIED_NAME}"


def record_object(name: str, record: Applied) -> dict[str, Any]:
    """The ConfigMap with this one record."""
    value = json.dumps({"digest": record.digest, "workloads": list(record.workloads)}, sort_keys=True)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": APPLIED_NAME, "namespace": "kube-system"},
        "data": {name.replace("/", "."): value},
    }


def applied(config_map: Mapping[str, Any]) -> dict[str, Applied]:
    """Read the records. One that somebody spoilt counts as an apply that has not ended."""
    found = {}
    for key, text in (config_map.get("data") or {}).items():
        try:
            value = json.loads(text)
            record = Applied(str(value["digest"]), tuple(str(load) for load in value["workloads"]))
        except (ValueError, KeyError, TypeError):
            record = Applied("")
        found[key.replace(".", "/")] = record
    return found


def workload_keys(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The Deployments and DaemonSets among these objects, as facts name them."""
    return tuple(
        f"{item['metadata'].get('namespace', 'default')}/{item['kind']}/{item['metadata']['name']}"
        for item in items
        if item["apiVersion"] == "apps/v1" and item["kind"] in ("DaemonSet", "Deployment")
    )
