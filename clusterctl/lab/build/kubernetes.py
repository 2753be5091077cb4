"""Kubernetes itself: the programs, their packages, and the images that its own kubeadm asks for."""

import json
from pathlib import Path

from clusterctl.errors import CommandFailed
from clusterctl.lab.build import deb, golang
from clusterctl.lab.build.golang import GoBuild
from clusterctl.lab.build.items import FILES, Item, Workshop, machine, ours
from clusterctl.lab.build.versions import VERSIONS, minor

MODULE = "k8s.io/kubernetes"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
PROGRAMS = ("kubeadm", "kubelet", "kubectl", *CONTROL_PLANE, "kube-proxy")

STAGED_ELSEWHERE = {"k8s.io/sample-cli-plugin": "v0.35.4"}
"""Staging modules that cannot be had at every version, and one that can; no program here contains them."""


def kubernetes(version: str) -> Item:
    """The programs of one version in ``bin/``, and ``images.json``: what kubeadm answers to the question."""

    def make(shop: Workshop, target: Path) -> None:
        fetched = golang.download(shop, target, MODULE, f"v{version}")
        if fetched is None:
            raise CommandFailed(
                f"there is no Go module {MODULE} v{version}",
                resolution=f"choose another version of: {', '.join(VERSIONS)}",
            )
        wanted = go_build(version, staging(Path(fetched["GoMod"]).read_text()))
        golang.build(shop, target, wanted).rename(target / "bin")
        golang.tidy(target)
        shop.run(
            target / "bin/kubeadm", "config", "images", "list", "-o", "json", "--kubernetes-version", f"v{version}",
            stdout=target / "images.json",
        )  # fmt: skip

    recipe = go_build(version, ()).recipe()
    return Item(
        f"kubernetes-{version}", (recipe, json.dumps(STAGED_ELSEWHERE)), make,
        tools=("go",), seconds=540, gigabytes=5.0,
    )  # fmt: skip


def packages(version: str, built: Item) -> Item:
    """The packages kubeadm, kubelet and kubectl in ``debs/``."""

    def make(shop: Workshop, target: Path) -> None:
        (target / "debs").mkdir()
        for package in debs(version, shop.path(built) / "bin"):
            deb.write(shop, package, machine(), target / "debs")

    return Item(
        f"packages-{version}", ours("kubelet", "kubeadm"), make,
        needs=(built,), tools=("dpkg-deb",), seconds=5, gigabytes=0.5,
    )  # fmt: skip


def images(built: Path) -> tuple[str, ...]:
    """The images a version needs, from its built item: ``registry.k8s.io/etcd:3.6.8-0`` and so on."""
    return tuple(json.loads((built / "images.json").read_text())["images"])


def staging(go_mod: str) -> tuple[str, ...]:
    """The modules that Kubernetes' own go.mod takes from its staging directory."""
    lines = [line.strip().removeprefix("replace").split() for line in go_mod.splitlines() if "=> ./staging/" in line]
    return tuple(sorted(words[0] for words in lines))


def go_build(version: str, staged: tuple[str, ...]) -> GoBuild:
    """How the programs of one version are built."""
    # Kubernetes 1.36.3 is published together with its staging modules at 0.36.3.
    staged_version = f"v0.{version.split('.', 1)[1]}"
    major, small = minor(version).split(".")
    about = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": small, "gitTreeState": "clean"}
    return GoBuild(
        requires={MODULE: f"v{version}"},
        replaces={name: f"{name} {STAGED_ELSEWHERE.get(name, staged_version)}" for name in staged},
        packages=tuple(f"{MODULE}/cmd/{name}" for name in PROGRAMS),
        sets={
            f"{package}.{name}": value
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
            for name, value in about.items()
        },
    )


def debs(version: str, programs: Path) -> tuple[deb.Deb, ...]:
    """The three packages of a version, with what the official ones contain."""
    revision = f"{version}-1.1"
    kubelet, units = FILES / "kubelet", "usr/lib/systemd/system"
    return (
        deb.Deb(
            package="kubeadm",
            version=revision,
            description="Command-line utility for administering a Kubernetes cluster",
            files={
                "usr/bin/kubeadm": programs / "kubeadm",
                f"{units}/kubelet.service.d/10-kubeadm.conf": FILES / "kubeadm/10-kubeadm.conf",
            },
        ),
        deb.Deb(
            package="kubelet",
            version=revision,
            section="net",
            description="Node agent for Kubernetes clusters",
            depends="kubernetes-cni (>= 1.2.0), iptables (>= 1.4.21), mount, util-linux",
            files={
                "usr/bin/kubelet": programs / "kubelet",
                f"{units}/kubelet.service": kubelet / "kubelet.service",
                "etc/default/kubelet": kubelet / "kubelet.default",
                # The official package keeps its empty directories this way.
                "etc/kubernetes/manifests/.kubelet-keep": kubelet / "kubelet-keep",
                "var/lib/kubelet/.kubelet-keep": kubelet / "kubelet-keep",
            },
            conffiles=("etc/default/kubelet",),
            scripts={name: kubelet / name for name in ("postinst", "prerm", "postrm")},
        ),
        deb.Deb(
            package="kubectl",
            version=revision,
            description="Command-line utility for interacting with a Kubernetes cluster",
            files={"usr/bin/kubectl": programs / "kubectl"},
        ),
    )
