"""Changing a real API server: tokens, labels, taints, manifests."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from clusterctl.errors import InputError, KubernetesError
from clusterctl.kube.change.changes import Changes, owned_taints
from clusterctl.kube.change.manifest import objects
from clusterctl.kube.connect.client import Kube
from clusterctl.kube.observe.cluster import observe
from clusterctl.kube.observe.token import CLUSTER_INFO, COLLECTION, new_token, token_id
from clusterctl.model.manifest import manifest_digest
from clusterctl.render import document
from clusterctl.steps.step import ClusterApi


@pytest.fixture
def changes(kube: Kube) -> ClusterApi:
    """The capability as steps get it."""
    return Changes(kube)


def test_a_token_has_what_kubeadm_join_needs() -> None:
    """Its object authenticates, signs, expires, and joins the group that may register nodes."""
    token, body = new_token(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 600)

    token_id, _, secret = token.reveal().partition(".")
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token.reveal())
    assert body["metadata"]["name"] == f"bootstrap-token-{token_id}"
    assert body["type"] == "bootstrap.kubernetes.io/token"
    assert body["stringData"] == {
        "description": "clusterctl",
        "token-id": token_id,
        "token-secret": secret,
        "expiration": "2026-01-02T03:14:05Z",
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }


def test_tokens_are_made_listed_and_deleted(kube: Kube, changes: ClusterApi) -> None:
    """Ours and the one of our ``kubeadm init`` go; a token that somebody else made stays."""
    for name, description in (("initaa", "clusterctl init"), ("others", "for the new team")):
        _, body = new_token(datetime.now(UTC), 600)
        body["metadata"] = {"name": f"bootstrap-token-{name}"}
        body["stringData"] |= {"token-id": name, "description": description}
        kube.create(COLLECTION, body)

    token = changes.create_join_token(ttl_seconds=600)

    try:
        assert observe(kube).join_tokens == tuple(sorted((token.reveal()[:6], "initaa")))
        changes.delete_join_tokens()
        assert observe(kube).join_tokens == ()
        assert kube.find(f"{COLLECTION}/bootstrap-token-others")
    finally:
        kube.delete(f"{COLLECTION}/bootstrap-token-others")


@pytest.fixture
def cluster_info(kube: Kube, changes: ClusterApi) -> Iterator[str]:
    """The path of a cluster-info that nobody has signed; the tokens that a test makes go with it."""
    kube.create(CLUSTER_INFO.rpartition("/")[0], {"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "..."}})
    try:
        yield CLUSTER_INFO
    finally:
        changes.delete_join_tokens()
        kube.delete(CLUSTER_INFO)


def test_a_token_is_handed_out_when_the_controller_manager_has_signed_for_it(
    kube: Kube, changes: ClusterApi, cluster_info: str
) -> None:
    """Not when it is there, nor when another token's signature is."""

    def sign(name: str) -> None:
        kube.patch(cluster_info, {"data": {f"jws-kubeconfig-{name}": "e30..signature"}})

    with ThreadPoolExecutor(1) as pool:
        token = pool.submit(changes.create_join_token, ttl_seconds=600)
        while not (made := kube.items(COLLECTION, {"labelSelector": "clusterctl.io/join-token"})):
            time.sleep(0.05)
        sign("others")
        time.sleep(1.0)
        waited = not token.done()
        sign(token_id(made[0]))
        handed_out = token.result(timeout=20)

    assert waited
    assert handed_out.reveal().startswith(f"{token_id(made[0])}.")


def test_a_token_that_nobody_signs_is_handed_out_in_the_end(
    changes: ClusterApi, cluster_info: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster may do without the signatures, and a node joins it all the same."""
    monkeypatch.setattr("clusterctl.kube.change.changes._SIGNED", 0.5)

    assert changes.create_join_token(ttl_seconds=600)


def test_labels_are_set_removed_and_owned(kube: Kube, changes: ClusterApi, make_node: Callable[..., str]) -> None:
    """Foreign labels stay, and only what clusterctl set is its own."""
    make_node("w1", labels={"foreign": "yes"})

    changes.set_labels("w1", {"disk": "ssd", "zone": "a"})
    first = observe(kube).nodes["w1"]
    changes.set_labels("w1", {"disk": "hdd", "zone": None})
    second = observe(kube).nodes["w1"]

    assert first.labels == {"foreign": "yes", "disk": "ssd", "zone": "a"}
    assert first.owned_labels == {"disk", "zone"}
    assert second.labels == {"foreign": "yes", "disk": "hdd"}
    assert second.owned_labels == {"disk"}


def test_taints_are_set_removed_and_owned(kube: Kube, changes: ClusterApi, make_node: Callable[..., str]) -> None:
    """Foreign taints stay, also those that somebody added between two changes of ours."""
    make_node("w1", taints=[{"key": "foreign", "effect": "NoExecute"}])

    changes.set_taints("w1", add=("a=1:NoSchedule", "b:NoSchedule"), remove=())
    first = observe(kube).nodes["w1"]
    found = kube.get("/api/v1/nodes/w1")
    later = [*found["spec"]["taints"], {"key": "later", "effect": "NoSchedule"}]
    kube.patch("/api/v1/nodes/w1", {"metadata": {}, "spec": {"taints": later}})
    changes.set_taints("w1", add=("a=2:NoSchedule",), remove=("b:NoSchedule",))
    second = observe(kube).nodes["w1"]

    assert set(first.taints) == {"foreign:NoExecute", "a=1:NoSchedule", "b:NoSchedule"}
    assert first.owned_taints == {"a=1:NoSchedule", "b:NoSchedule"}
    assert set(second.taints) == {"foreign:NoExecute", "later:NoSchedule", "a=2:NoSchedule"}
    assert second.owned_taints == {"a=2:NoSchedule"}


def test_the_last_taint_can_be_removed(kube: Kube, changes: ClusterApi, make_node: Callable[..., str]) -> None:
    """A node without taints is left, and labels that are ours stay ours."""
    make_node("w1")
    changes.set_labels("w1", {"disk": "ssd"})
    changes.set_taints("w1", add=("a:NoSchedule",), remove=())

    changes.set_taints("w1", add=(), remove=("a:NoSchedule",))

    node = observe(kube).nodes["w1"]
    assert not node.taints
    assert not node.owned_taints
    assert node.owned_labels == {"disk"}


def test_no_taint_is_lost_when_many_change_them_at_once(
    kube: Kube, changes: ClusterApi, make_node: Callable[..., str]
) -> None:
    """Each change is made to the list it was computed from, or computed again."""
    make_node("w1")
    wanted = tuple(f"t{number}:NoSchedule" for number in range(5))

    threads = [
        threading.Thread(target=changes.set_taints, args=("w1",), kwargs={"add": (taint,), "remove": ()})
        for taint in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    node = observe(kube).nodes["w1"]
    assert set(node.taints) == set(wanted)
    assert node.owned_taints == set(wanted)


def test_a_missing_node_is_an_error(changes: ClusterApi) -> None:
    """The error names the node."""
    with pytest.raises(KubernetesError, match="nodes/none: the API server answered 404"):
        changes.set_labels("none", {"a": "b"})


@pytest.mark.parametrize(
    ("before", "add", "remove", "after"),
    [
        ({"a=1:NoSchedule"}, ("a=2:NoSchedule",), (), {"a=2:NoSchedule"}),
        ({"a=1:NoSchedule"}, ("a=2:NoExecute",), (), {"a=1:NoSchedule", "a=2:NoExecute"}),
        ({"a=1:NoSchedule", "b:NoExecute"}, (), ("b:NoExecute",), {"a=1:NoSchedule"}),
        (set(), ("a:NoSchedule",), ("a:NoSchedule",), {"a:NoSchedule"}),
    ],
)
def test_ownership_follows_the_change(
    before: set[str], add: tuple[str, ...], remove: tuple[str, ...], after: set[str]
) -> None:
    """A taint that gets another value is another taint."""
    assert owned_taints(frozenset(before), add=add, remove=remove) == after


FLANNEL = document("network/flannel.yaml.j2", pod_cidr="10.10.0.0/16", version="v0.28.4")


def test_applying_twice_changes_nothing(kube: Kube, changes: ClusterApi) -> None:
    """The second run of the flannel manifest leaves every object at its version."""

    def versions() -> dict[str, str]:
        paths = {
            "/api/v1/namespaces/kube-flannel",
            "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg",
            "/api/v1/namespaces/kube-flannel/serviceaccounts/flannel",
            "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/flannel",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flannel",
        }
        return {path: kube.get(path)["metadata"]["resourceVersion"] for path in paths}

    try:
        changes.apply(FLANNEL)
        first = versions()
        changes.apply(FLANNEL)

        assert versions() == first
        flannel = observe(kube).workloads["kube-flannel/DaemonSet/kube-flannel-ds"]
    finally:
        kube.delete("/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds")
    assert flannel.digest == manifest_digest(FLANNEL)
    assert (flannel.desired, flannel.ready) == (1, 0)


def test_applying_takes_fields_over(kube: Kube, changes: ClusterApi) -> None:
    """What somebody edited and the manifest sets is as the manifest says; what it does not set stays."""
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: default}\ndata: {a: one}\n"
    path = "/api/v1/namespaces/default/configmaps/mine"
    changes.apply(manifest)
    kube.patch(path, {"metadata": {}, "data": {"a": "edited", "b": "theirs"}})

    changes.apply(manifest)

    assert kube.get(path)["data"] == {"a": "one", "b": "theirs"}


def definition(kind: str, *, padding: int = 0) -> dict[str, Any]:
    """A CustomResourceDefinition, as large as it is told to be."""
    properties = {f"field{number}": {"type": "string", "description": "x" * 900} for number in range(padding)}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.test.clusterctl.io"},
        "spec": {
            "group": "test.clusterctl.io",
            "scope": "Cluster",
            "names": {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "properties": properties}},
                        }
                    },
                }
            ],
        },
    }


def test_a_large_definition_and_an_object_of_its_kind_are_applied(kube: Kube, changes: ClusterApi) -> None:
    """A megabyte goes through, and a kind that the stream itself defines is waited for."""
    import yaml

    manifest = yaml.safe_dump_all(
        [
            definition("Widget", padding=1100),
            {"apiVersion": "test.clusterctl.io/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {}},
        ]
    )
    assert len(manifest) > 1_000_000

    changes.apply(manifest)

    made = kube.get("/apis/test.clusterctl.io/v1/widgets/one")
    assert made["metadata"]["annotations"]["clusterctl.io/manifest"] == manifest_digest(manifest)


def test_an_unknown_kind_is_told_at_once(changes: ClusterApi) -> None:
    """The error names the kind that the cluster lacks."""
    with pytest.raises(KubernetesError, match=r"this cluster has no kind Gadget of absent.example/v1"):
        changes.apply("apiVersion: absent.example/v1\nkind: Gadget\nmetadata: {name: x}\n")


def test_what_the_server_rejects_is_quoted(changes: ClusterApi) -> None:
    """The error names the object and repeats what is wrong with it."""
    with pytest.raises(KubernetesError) as caught:
        changes.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, namespace: default}\ndata: [1]\n")

    assert "cannot change configmaps/bad in default" in caught.value.what
    assert "data" in caught.value.details


def test_a_stream_is_read_as_kubectl_reads_it() -> None:
    """Dates and a lone ``=`` are text, empty documents are nothing, lists are what is in them."""
    found = objects(
        "---\n---\napiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: A, metadata: {name: one}, spec: {day: 2026-01-02, op: [=]}}\n"
        "---\napiVersion: v1\nkind: B\nmetadata: {name: two, annotations: {a: b}}\n"
    )

    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [("A", "one"), ("B", "two")]
    assert found[0]["spec"] == {"day": "2026-01-02", "op": ["="]}
    assert found[1]["metadata"]["annotations"].keys() == {"a", "clusterctl.io/manifest"}


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("a: b\nc: d: e\n", "not valid YAML at line 2"),
        ("just text", "document 1 of the manifest is not a Kubernetes object"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nkind: B\n", "document 2 of the manifest"),
        ("apiVersion: v1\nkind: A\nmetadata: {}\n", "document 1 of the manifest"),
    ],
)
def test_a_broken_stream_is_bad_input(manifest: str, problem: str) -> None:
    """Nothing of a stream is applied before all of it has been read."""
    with pytest.raises(InputError, match=problem):
        objects(manifest)


def test_a_digest_tells_manifests_apart() -> None:
    """Another version is another manifest."""
    other = document("network/flannel.yaml.j2", pod_cidr="10.10.0.0/16", version="v0.28.5")

    assert re.fullmatch(r"sha256:[0-9a-f]{64}", manifest_digest(FLANNEL))
    assert manifest_digest(FLANNEL) != manifest_digest(other)
