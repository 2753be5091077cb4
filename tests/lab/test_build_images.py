"""From the images that kubeadm asks for to the items that build them."""

import json
import tarfile
from pathlib import Path

import pytest

from clusterctl.errors import ClusterctlError
from clusterctl.lab.build import images
from clusterctl.lab.build.image import (
    Content,
    Settings,
    blob,
    manifest_descriptor,
    write_image,
    write_layer,
    write_tree_layer,
)
from clusterctl.lab.build.kubernetes import kubernetes

ASKED = (
    "registry.k8s.io/kube-apiserver:v1.36.3",
    "registry.k8s.io/kube-controller-manager:v1.36.3",
    "registry.k8s.io/kube-scheduler:v1.36.3",
    "registry.k8s.io/kube-proxy:v1.36.3",
    "registry.k8s.io/coredns/coredns:v1.14.2",
    "registry.k8s.io/pause:3.10.2",
    "registry.k8s.io/etcd:3.6.8-0",
)


def quiet() -> None:
    """Tell nothing."""


def test_each_image_that_kubeadm_asks_for_has_its_path_tag_and_item() -> None:
    """The registry serves the official paths and tags, so that it can stand in for the official one."""
    found = images.kubernetes_images(ASKED, kubernetes("1.36.3"), images.base_layer())

    assert [(image.repository, image.tag, image.item.name) for image in found] == [
        ("kube-apiserver", "v1.36.3", "image-kube-apiserver-v1.36.3"),
        ("kube-controller-manager", "v1.36.3", "image-kube-controller-manager-v1.36.3"),
        ("kube-scheduler", "v1.36.3", "image-kube-scheduler-v1.36.3"),
        ("kube-proxy", "v1.36.3", "image-kube-proxy-v1.36.3"),
        ("coredns/coredns", "v1.14.2", "image-coredns-v1.14.2"),
        ("pause", "3.10.2", "image-pause-3.10.2"),
        ("etcd", "3.6.8-0", "image-etcd-3.6.8-0"),
    ]


def test_two_versions_share_the_images_that_both_ask_for() -> None:
    """etcd for two versions of Kubernetes is built once."""
    base = images.base_layer()
    new = images.kubernetes_images(ASKED, kubernetes("1.36.3"), base)
    old = images.kubernetes_images(ASKED, kubernetes("1.35.4"), base)

    keys = {image.item.key for image in old}
    shared = {image.item.name for image in new if image.item.key in keys}

    assert shared == {"image-coredns-v1.14.2", "image-pause-3.10.2", "image-etcd-3.6.8-0"}


def test_an_image_nobody_knows_is_an_error_that_names_it() -> None:
    """A future Kubernetes may need more than this can build."""
    with pytest.raises(ClusterctlError, match=r"registry\.k8s\.io/novelty:v1"):
        images.kubernetes_images(("registry.k8s.io/novelty:v1",), kubernetes("1.36.3"), images.base_layer())


def test_the_pod_network_and_the_test_workload_have_their_official_names() -> None:
    """flannel's manifest and an nginx Deployment pull them under these names."""
    found = [f"{image.repository}:{image.tag}" for image in images.other_images(images.base_layer())]

    assert found == [
        "flannel-io/flannel:v0.28.4",
        "flannel-io/flannel-cni-plugin:v1.9.1-flannel1",
        "library/nginx:1.22",
    ]


@pytest.mark.parametrize(
    ("version", "first"),
    [
        ("3.6.6", ("3.6.6", "3.6.5", "3.6.7", "3.6.4", "3.6.8")),
        ("1.13.1", ("1.13.1", "1.13.0", "1.13.2", "1.13.3", "1.13.4")),
    ],
)
def test_the_nearest_patches_come_first(version: str, first: tuple[str, ...]) -> None:
    """The version itself, then its neighbours, the lower before the higher."""
    assert images.nearest_patches(version)[:5] == first


def test_a_layer_has_the_same_bytes_for_the_same_content(tmp_path: Path) -> None:
    """Times, owners and the order of things outside leave no trace."""
    program = tmp_path / "program"
    program.write_text("x")
    program.chmod(0o755)
    content = Content(
        files={"usr/local/bin/program": program},
        texts={"etc/passwd": "root"},
        links={"var/log/x": "/dev/stdout"},
        directories={"tmp": 0o1777},
    )

    write_layer(content, tmp_path / "one.tar")
    program.touch()
    write_layer(content, tmp_path / "two.tar")

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        entries = {entry.name: (oct(entry.mode), entry.type, entry.linkname) for entry in archive}
    assert entries["usr/local/bin/program"] == ("0o755", tarfile.REGTYPE, "")
    assert entries["etc/passwd"] == ("0o644", tarfile.REGTYPE, "")
    assert entries["tmp"] == ("0o1777", tarfile.DIRTYPE, "")
    assert entries["usr/local"] == ("0o755", tarfile.DIRTYPE, "")
    assert entries["var/log/x"] == ("0o777", tarfile.SYMTYPE, "/dev/stdout")


def test_a_layer_of_a_tree_keeps_modes_and_links(tmp_path: Path) -> None:
    """A small distribution stays what it is."""
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/a").write_text("a")
    (tree / "bin/a").chmod(0o4755)
    (tree / "bin/b").symlink_to("a")

    write_tree_layer(tree, tmp_path / "tree.tar")

    with tarfile.open(tmp_path / "tree.tar") as archive:
        entries = [(entry.name, oct(entry.mode), entry.mtime, entry.uname) for entry in archive]
    assert entries == [("bin", "0o755", 0, ""), ("bin/a", "0o4755", 0, ""), ("bin/b", "0o777", 0, "")]


def test_an_image_is_an_oci_layout_whose_layers_are_linked(tmp_path: Path) -> None:
    """The base layer is on the disk once, however many images share it."""
    base, layer = tmp_path / "base.tar", tmp_path / "layer.tar"
    write_layer(Content(texts={"etc/base": "b"}), base)
    write_layer(Content(texts={"etc/top": "t"}), layer)
    settings = Settings(entrypoint=("/x",), ports=("53/udp",), user="65535", labels={"a": "b"})

    write_image(tmp_path / "image", [base, layer], settings, "amd64", quiet)

    image = tmp_path / "image"
    manifest = json.loads(blob(image, manifest_descriptor(image)["digest"]).read_text())
    config = json.loads(blob(image, manifest["config"]["digest"]).read_text())
    assert [blob(image, each["digest"]).stat().st_ino for each in manifest["layers"]] == [
        base.stat().st_ino,
        layer.stat().st_ino,
    ]
    assert config["rootfs"]["diff_ids"] == [each["digest"] for each in manifest["layers"]]
    assert config["config"] == {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": ["/x"],
        "User": "65535",
        "ExposedPorts": {"53/udp": {}},
        "Labels": {"a": "b"},
    }
