"""containerd and the CNI plugins: built, and packed as the node's packages."""

import json
from pathlib import Path

from clusterctl.lab.build import deb, golang
from clusterctl.lab.build.golang import GoBuild
from clusterctl.lab.build.items import FILES, Item, Workshop, machine, ours
from clusterctl.lab.build.versions import CNI_PLUGINS, CONTAINERD

_CONTAINERD = "github.com/containerd/containerd/v2"
_PLUGINS = "github.com/containernetworking/plugins"
_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


BASE_SPEC = FILES / "rootfs/etc/containerd/cri-base.json"
"""What containers of lab machines start from: the default, without limits that not every machine may raise."""


def default_spec(shop: Workshop, target: Path) -> object:
    """The container spec that containerd starts from by itself, without its rlimits."""
    said = target / "spec.json"
    shop.run(target / "bin/ctr", "oci", "spec", stdout=said)
    spec = json.loads(said.read_text())
    del spec["process"]["rlimits"]
    said.unlink()
    return spec


def containerd() -> Item:
    """containerd's programs in ``bin/``, and their package in ``debs/``."""
    wanted = GoBuild(
        requires={_CONTAINERD: f"v{CONTAINERD}"},
        packages=tuple(f"{_CONTAINERD}/cmd/{name}" for name in _PROGRAMS),
        tags=("no_btrfs", "no_devmapper", "no_zfs"),
        sets={f"{_CONTAINERD}/version.Version": f"v{CONTAINERD}"},
    )

    def make(shop: Workshop, target: Path) -> None:
        golang.build(shop, target, wanted).rename(target / "bin")
        golang.tidy(target)
        if default_spec(shop, target) != json.loads(BASE_SPEC.read_text()):
            shop.note(f"its default container spec without rlimits is not that of {BASE_SPEC}: bring that up to date")
        files = FILES / "containerd"
        package = deb.Deb(
            package="containerd",
            version=f"{CONTAINERD}-1",
            description="Container runtime",
            homepage="https://containerd.io",
            depends="runc, init-system-helpers (>= 1.51)",
            files={
                **{f"usr/bin/{name}": target / "bin" / name for name in _PROGRAMS},
                "usr/lib/systemd/system/containerd.service": files / "containerd.service",
            },
            scripts={name: files / name for name in ("postinst", "prerm", "postrm")},
        )
        (target / "debs").mkdir()
        deb.write(shop, package, machine(), target / "debs")

    return Item(
        f"containerd-{CONTAINERD}",
        (wanted.recipe(), *ours("containerd")),
        make,
        tools=("go", "dpkg-deb"),
        seconds=150,
        gigabytes=0.7,
    )


def cni_plugins() -> Item:
    """The package kubernetes-cni in ``debs/``."""
    plugins = {
        "main": ("bridge", "dummy", "host-device", "ipvlan", "loopback", "macvlan", "ptp", "vlan"),
        "ipam": ("dhcp", "host-local", "static"),
        "meta": ("bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf"),
    }
    wanted = GoBuild(
        requires={_PLUGINS: f"v{CNI_PLUGINS}"},
        packages=tuple(f"{_PLUGINS}/plugins/{kind}/{name}" for kind, names in plugins.items() for name in names),
        sets={f"{_PLUGINS}/pkg/utils/buildversion.BuildVersion": f"v{CNI_PLUGINS}"},
    )

    def make(shop: Workshop, target: Path) -> None:
        programs = golang.build(shop, target, wanted)
        package = deb.Deb(
            package="kubernetes-cni",
            version=f"{CNI_PLUGINS}-1.1",
            description="Binaries required to provision container networking.",
            files={f"opt/cni/bin/{path.name}": path for path in sorted(programs.iterdir())},
        )
        (target / "debs").mkdir()
        deb.write(shop, package, machine(), target / "debs")
        golang.tidy(target)

    return Item(
        f"kubernetes-cni-{CNI_PLUGINS}",
        (wanted.recipe(), json.dumps(plugins)),
        make,
        tools=("go", "dpkg-deb"),
        seconds=25,
        gigabytes=0.3,
    )
