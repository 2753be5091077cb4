"""Which items the wanted Kubernetes versions need, in the order they are built in."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterctl.lab.build import containerd, debian, images, kubernetes, registry, repository, rootfs
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.items import Item, Later, in_order
from clusterctl.lab.build.versions import VERSIONS, minor


@dataclass(frozen=True)
class Common:
    """The items that all Kubernetes versions share."""

    containerd: Item
    rootfs: Item
    cni_plugins: Item
    debian: Item
    base: Item
    key: Item
    registry: Item

    @staticmethod
    def items() -> "Common":
        """All of them."""
        root = rootfs.rootfs()
        return Common(
            containerd=containerd.containerd(),
            rootfs=root,
            cni_plugins=containerd.cni_plugins(),
            debian=debian.node_packages(root),
            base=images.base_layer(),
            key=repository.signing_key(),
            registry=registry.program(),
        )


def plan(cache: Cache, kubernetes_versions: Sequence[str], extras: Sequence[str] = ()) -> tuple[Item | Later, ...]:
    """Every item of these versions, and of what is wanted besides, what is needed first.

    Machines come first and what all versions share, then the versions, then what brings it all together.
    What a version needs besides Kubernetes itself is known when that is built: until then it is ``Later``.
    """
    common = Common.items()
    programs = {version: kubernetes.kubernetes(version) for version in kubernetes_versions}
    packages = {version: kubernetes.packages(version, built) for version, built in programs.items()}
    others = (*images.other_images(common.base), *images.extra_images(extras))
    wanted, later = list(others), []
    for built in programs.values():
        if built.complete(cache):
            names = kubernetes.images(cache.path(built.key))
            wanted += images.kubernetes_images(names, built, common.base)
        else:
            later += [
                Later(f"images of {built.name}", 8.0),
                Later(f"etcd for {built.name}", 70.0),
                Later(f"CoreDNS for {built.name}", 120.0),
            ]
    first = in_order(
        [
            common.rootfs,
            common.key,
            common.debian,
            common.containerd,
            common.cni_plugins,
            common.base,
            *(image.item for image in others),
            common.registry,
            *programs.values(),
            *packages.values(),
            *(image.item for image in wanted),
            repositories(cache, common, packages),
        ]
    )
    last: Item | Later = Later("registry-content", 10.0) if later else registry.content(wanted, common.registry)
    return (*first, *later, last)


def repositories(cache: Cache, common: Common, packages: dict[str, Item]) -> Item:
    """The directory that is served: one repository for each minor, and one for what nodes need besides."""
    by_minor: dict[str, list[Item]] = {}
    for version in VERSIONS:
        item = packages.get(version) or kubernetes.packages(version, kubernetes.kubernetes(version))
        if version in packages or (item.complete(cache) and minor(version) in map(minor, packages)):
            by_minor.setdefault(minor(version), []).append(item)
    served = {"containerd": repository.repository("containerd", [common.containerd, common.debian], common.key)}
    for name, items in by_minor.items():
        served[f"core:/stable:/v{name}/deb"] = repository.repository(
            f"v{name}", [*items, common.cni_plugins], common.key
        )
    return repository.published(served)
