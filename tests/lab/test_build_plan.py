"""What is built for which versions, and in which order."""

import json
from pathlib import Path

import pytest

from clusterctl.errors import InputError
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.items import Item, Later
from clusterctl.lab.build.kubernetes import kubernetes
from clusterctl.lab.build.plan import plan
from clusterctl.lab.build.versions import METRICS_SERVER, VERSIONS, checked, checked_extras, minor

ASKED = [
    "registry.k8s.io/kube-apiserver:v{version}",
    "registry.k8s.io/etcd:3.6.8-0",
    "registry.k8s.io/coredns/coredns:v1.14.2",
    "registry.k8s.io/pause:3.10.2",
]


def names(cache: Cache, *versions: str) -> list[str]:
    """Return the names of everything planned."""
    return [item.name for item in plan(cache, versions)]


def pretend_built(cache: Cache, version: str) -> None:
    """Put the item of a Kubernetes version into the cache."""
    built = cache.path(kubernetes(version).key)
    built.mkdir(parents=True)
    (built / "images.json").write_text(json.dumps({"images": [name.format(version=version) for name in ASKED]}))


def test_machines_come_first_and_the_registrys_content_last(tmp_path: Path) -> None:
    """A machine can boot while Kubernetes is still being compiled."""
    found = names(Cache(tmp_path), "1.36.3")

    assert found[0] == "rootfs-bookworm"
    assert found[-1] == "registry-content"
    assert found.index("kubernetes-1.36.3") < found.index("packages-1.36.3") < found.index("repository-v1.36")


def test_what_kubeadm_will_ask_for_is_later_until_kubeadm_is_built(tmp_path: Path) -> None:
    """Nothing here knows which etcd a Kubernetes version needs: its kubeadm does."""
    cache = Cache(tmp_path)

    before = plan(cache, ["1.36.3"])
    pretend_built(cache, "1.36.3")
    after = plan(cache, ["1.36.3"])

    assert [item.name for item in before if isinstance(item, Later)] == [
        "images of kubernetes-1.36.3",
        "etcd for kubernetes-1.36.3",
        "CoreDNS for kubernetes-1.36.3",
        "registry-content",
    ]
    assert all(isinstance(item, Item) for item in after)
    assert "image-etcd-3.6.8-0" in [item.name for item in after]


def test_items_of_a_plan_are_there_once(tmp_path: Path) -> None:
    """Versions share what they have in common."""
    cache = Cache(tmp_path)
    for version in VERSIONS:
        pretend_built(cache, version)

    found = names(cache, *VERSIONS)

    assert len(found) == len(set(found))
    assert found.count("image-etcd-3.6.8-0") == 1


def test_each_minor_has_a_repository_of_its_own(tmp_path: Path) -> None:
    """A node upgrades by changing to the next minor's repository, as with the official ones."""
    found = names(Cache(tmp_path), "1.36.3", "1.35.4")

    assert [name for name in found if name.startswith("repository-")] == [
        "repository-containerd",
        "repository-v1.36",
        "repository-v1.35",
    ]


def test_what_is_built_on_request_is_in_no_other_plan(tmp_path: Path) -> None:
    """metrics-server is compiled for those who ask for it, and goes into the registry with the other images."""
    cache = Cache(tmp_path)
    pretend_built(cache, "1.36.3")

    assert f"image-metrics-server-v{METRICS_SERVER}" not in names(cache, "1.36.3")
    asked = plan(cache, ["1.36.3"], ["metrics-server"])

    content = asked[-1]
    assert isinstance(content, Item)
    assert f"image-metrics-server-v{METRICS_SERVER}" in [need.name for need in content.needs]


def test_only_what_can_be_built_may_be_asked_for() -> None:
    """A typing mistake is answered with what there is."""
    assert checked_extras(["metrics-server", "metrics-server"]) == ("metrics-server",)
    with pytest.raises(InputError, match="cannot build metric-server") as caught:
        checked_extras(["metric-server"])
    assert caught.value.resolution == "choose from: metrics-server"


def test_versions_are_checked_and_taken_once() -> None:
    """The order that was asked for is kept."""
    assert checked(["1.35.4", "1.36.3", "1.35.4"]) == ("1.35.4", "1.36.3")
    assert minor("1.36.3") == "1.36"


def test_no_version_at_all_is_an_input_error() -> None:
    """A lab is of some version."""
    with pytest.raises(InputError, match="no version"):
        checked([])
