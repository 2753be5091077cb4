"""Change the cluster: join tokens, labels, taints and cordons of nodes, manifests."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clusterctl.errors import KubernetesError, Refused
from clusterctl.kube.change.manifest import objects
from clusterctl.kube.connect.client import APPLY_PATCH, Kube, Object
from clusterctl.kube.connect.errors import ApiError
from clusterctl.kube.drain.drain import Drain
from clusterctl.kube.observe.node import (
    CONTROL_PLANE,
    CORDONED_ANNOTATION,
    OWNED_ANNOTATION,
    Owned,
    change_taints,
    cordon_text,
    cordoned,
    owned,
)
from clusterctl.kube.observe.record import APPLIED, record_object, workload_keys
from clusterctl.kube.observe.token import CLUSTER_INFO, COLLECTION, OURS_QUERY, is_ours, is_signed, new_token
from clusterctl.model.facts import Applied, Cordon
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.secret import Secret
from clusterctl.rules.drain import SOFT_TAINT

FIELD_MANAGER = "clusterctl"

_APPLY = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
_DEFINITION = "CustomResourceDefinition"
_TRIES = 8  # How often a node is read again because somebody else changed it at the same moment.
_ESTABLISHED = 30.0  # Seconds for which a new kind may take to be served.
_SIGNED = 30.0  # Seconds for which a controller manager that has just been started may take to sign for a token.
_PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class _Resource:
    """Where the objects of one kind live."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, item: Mapping[str, Any]) -> str:
        metadata = item["metadata"]
        namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if self.namespaced else ""
        return f"{self.prefix}{namespace}/{self.plural}/{metadata['name']}"


class Changes:
    """What can change one cluster. Every method raises KubernetesError; none repeats a change that was sent."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._resources: dict[tuple[str, str], _Resource] = {}

    def create_join_token(self, *, ttl_seconds: int) -> Secret:
        """Make a bootstrap token that lets one node join, marked as clusterctl's.

        Returns when the controller manager has signed for it. Before that nobody would answer a joining kubelet, which
        asks for its certificate when it starts, and every question that is refused until then makes it wait longer for
        its node, for the services and for the pods. ``kubeadm join`` waits for the same signature, but not with a
        discovery file. Where nothing is signed the token is as good: the wait has an end.
        """
        token, body = new_token(datetime.now(UTC), ttl_seconds)
        self._kube.create(COLLECTION, body)
        end = time.monotonic() + _SIGNED
        while (info := self._kube.find(CLUSTER_INFO)) and not is_signed(info, token) and time.monotonic() < end:
            time.sleep(_PAUSE)
        return token

    def delete_join_tokens(self) -> None:
        """Delete every bootstrap token that clusterctl made, or ``kubeadm init`` for it."""
        for item in self._kube.items(COLLECTION, OURS_QUERY):
            if is_ours(item):
                self._kube.delete(f"{COLLECTION}/{item['metadata']['name']}")

    def set_labels(self, node: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node, remove those whose value is None, and record which ones clusterctl owns."""

        def change(found: Object) -> Object:
            ours = owned(found["metadata"].get("annotations"))
            kept = ours.labels - {key for key, value in labels.items() if value is None}
            new = Owned(kept | {key for key, value in labels.items() if value is not None}, ours.taints)
            return {"metadata": {"labels": dict(labels), "annotations": {OWNED_ANNOTATION: new.text()}}}

        self._change_node(node, change)

    def set_taints(self, node: str, *, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        """Add and remove taints of a node, leaving all others, and record which ones clusterctl owns."""

        def change(found: Object) -> Object:
            ours = owned(found["metadata"].get("annotations"))
            taints = change_taints((found.get("spec") or {}).get("taints") or [], add=add, remove=remove)
            new = Owned(ours.labels, owned_taints(ours.taints, add=add, remove=remove))
            # A merge patch replaces the whole list; the precondition makes sure that it is the list just read.
            return {"metadata": {"annotations": {OWNED_ANNOTATION: new.text()}}, "spec": {"taints": taints or None}}

        self._change_node(node, change)

    def cordon(self, node: str, *, by: str) -> None:
        """Let no pod be scheduled to a node, and mark it: by whom, when, and whether it was so before.

        A mark that is there already stays, with what it says of the time before the first cordon. Where a hand has
        uncordoned the node since, it counts as drained no more.
        """

        def change(found: Object) -> Object | None:
            before = bool(found["spec"].get("unschedulable"))
            mark = cordoned(found["metadata"].get("annotations"))
            if mark and before:
                return None
            mark = mark or Cordon(by, datetime.now(UTC).isoformat(timespec="seconds"), before)
            annotations = {CORDONED_ANNOTATION: cordon_text(replace(mark, drained=False))}
            return {"metadata": {"annotations": annotations}, "spec": {"unschedulable": True}}

        self._change_node(node, change)

    def uncordon(self, node: str) -> None:
        """Take clusterctl's marks off a node, the soft taint included. A node without a mark stays as it is.

        Pods may come again, unless the node was unschedulable before it was marked.
        """

        def change(found: Object) -> Object | None:
            taints = found["spec"].get("taints") or []
            kept = change_taints(taints, add=(), remove=(SOFT_TAINT,))
            mark = cordoned(found["metadata"].get("annotations"))
            spec: Object = {} if len(kept) == len(taints) else {"taints": kept or None}
            if mark and not mark.unschedulable:
                spec["unschedulable"] = None
            return {"metadata": {"annotations": {CORDONED_ANNOTATION: None}}, "spec": spec} if mark or spec else None

        self._change_node(node, change)

    def remove_node(self, node: str) -> None:
        """Delete a worker's node that clusterctl has drained. Raises Refused for any other, and deletes nothing.

        Whatever was written to the node since it was read makes it another one.
        """
        path = f"/api/v1/nodes/{node}"
        for tries_left in reversed(range(_TRIES)):
            found = self._kube.get(path)
            mark = cordoned(found["metadata"].get("annotations"))
            drained = mark is not None and mark.drained and found["spec"].get("unschedulable")
            if not drained or CONTROL_PLANE in (found["metadata"].get("labels") or {}):
                raise Refused(
                    f"the node {node} is no worker that clusterctl has drained, and is not removed",
                    resolution="run the same command again: it looks first, and drains it",
                )
            read = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
            try:
                self._kube.delete(path, {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": read})
                return
            except ApiError as error:
                if error.status != 409 or not tries_left:
                    raise
            time.sleep(_PAUSE / 2)

    def soft_taint(self, node: str) -> None:
        """Let pods prefer other nodes, because this one is to be drained soon."""

        def change(found: Object) -> Object | None:
            taints = found["spec"].get("taints") or []
            new = change_taints(taints, add=(SOFT_TAINT,), remove=())
            return {"metadata": {}, "spec": {"taints": new}} if len(new) != len(taints) else None

        self._change_node(node, change)

    def drain(self, node: str, options: DrainOptions, say: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        """Let the pods of a cordoned node go as kubectl does, wait until they are gone, and note that in our mark."""

        def change(found: Object) -> Object | None:
            mark = cordoned(found["metadata"].get("annotations"))
            if mark is None:
                return None
            return {"metadata": {"annotations": {CORDONED_ANNOTATION: cordon_text(replace(mark, drained=True))}}}

        if Drain(self._kube, node, options, say, stopping).run():
            self._change_node(node, change)

    def apply(self, manifest: str, *, record: str = "", digest: str = "") -> None:
        """Apply every object of a YAML stream by server-side apply, in its order.

        Fields that somebody else set and the manifest sets too are taken over; a field that the API does not know is
        an error, as it is for kubectl. Each object is marked with ``digest``, or the stream's own. A kind that the
        stream itself defines is waited for. With ``record`` the cluster keeps under that name that an apply began,
        and at its end the digest and the stream's workloads.
        """
        items = objects(manifest, digest)
        found = workload_keys(items)
        if record:
            self._record(record, Applied("", found))
        self._apply(items)
        if record:
            self._record(record, Applied(digest or manifest_digest(manifest), found))

    def _record(self, name: str, record: Applied) -> None:
        # Each record has a field manager of its own: an apply removes what its manager set before and sets no more.
        manager = f"{FIELD_MANAGER}-{name.replace('/', '-')}"
        self._kube.patch(
            APPLIED, record_object(name, record), kind=APPLY_PATCH, query={"fieldManager": manager, "force": "true"}
        )

    def _apply(self, items: list[Object]) -> None:
        defined: set[tuple[str, str]] = set()
        definitions: list[str] = []
        for item in items:
            kind = (item["apiVersion"], item["kind"])
            if item["kind"] != _DEFINITION:  # Definitions that stand together get established side by side.
                self._wait_until_established(definitions)
            resource = self._resource(*kind, patience=_ESTABLISHED if kind in defined else 0.0)
            path = resource.path(item)
            self._kube.patch(path, item, kind=APPLY_PATCH, query=_APPLY)
            if item["kind"] == _DEFINITION:
                defined |= defined_kinds(item)
                definitions.append(path)
        self._wait_until_established(definitions)

    def _change_node(self, node: str, change: Callable[[Object], Object | None]) -> None:
        """Patch a node on the condition that it is still as it was read; if not, read it again. None is no change."""
        path = f"/api/v1/nodes/{node}"
        for tries_left in reversed(range(_TRIES)):
            found = self._kube.get(path)
            patch = change(found)
            if patch is None:
                return
            patch["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            try:
                self._kube.patch(path, patch)
                return
            except ApiError as error:
                if error.status != 409 or not tries_left:
                    raise
            time.sleep(_PAUSE / 2)

    def _resource(self, version: str, kind: str, *, patience: float) -> _Resource:
        end = time.monotonic() + patience
        while (version, kind) not in self._resources:
            try:
                self._discover(version)
            except ApiError as error:
                if error.status != 404:
                    raise
            if (version, kind) in self._resources:
                break
            if time.monotonic() > end:
                raise KubernetesError(
                    f"this cluster has no kind {kind} of {version}",
                    resolution="apply what defines it first; `kubectl api-resources` shows what there is",
                    status=404,
                )
            time.sleep(_PAUSE)
        return self._resources[version, kind]

    def _discover(self, version: str) -> None:
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for entry in self._kube.get(prefix).get("resources") or []:
            if "/" not in entry["name"]:  # The others are subresources.
                resource = _Resource(prefix, entry["name"], entry["namespaced"])
                self._resources[version, entry["kind"]] = resource

    def _wait_until_established(self, paths: list[str]) -> None:
        """Wait for definitions, and take them off the list."""
        end = time.monotonic() + _ESTABLISHED
        while paths:
            conditions = (self._kube.get(paths[0]).get("status") or {}).get("conditions") or []
            if any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions):
                paths.pop(0)
                continue
            if time.monotonic() > end:
                said = "\n".join(
                    f"{entry['type']} is {entry['status']}: {entry.get('message')}" for entry in conditions
                )
                raise KubernetesError(
                    f"{paths[0].rpartition('/')[2]} is not established after {_ESTABLISHED:.0f} s",
                    details=said,
                    resolution="look at it with `kubectl describe crd`, then run the command again",
                )
            time.sleep(_PAUSE)


def owned_taints(before: frozenset[str], *, add: tuple[str, ...], remove: tuple[str, ...]) -> frozenset[str]:
    """Which taints are clusterctl's after a change. One that is set to another value is no longer the old one."""

    def place(taint: str) -> tuple[str, str]:
        key_value, _, effect = taint.rpartition(":")
        return key_value.partition("=")[0], effect

    replaced = {place(taint) for taint in add}
    return frozenset({taint for taint in before - set(remove) if place(taint) not in replaced} | set(add))


def defined_kinds(definition: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The versions and the kind that a CustomResourceDefinition brings."""
    spec = definition.get("spec") or {}
    kind = (spec.get("names") or {}).get("kind", "")
    return {(f"{spec.get('group')}/{version['name']}", kind) for version in spec.get("versions") or []}
