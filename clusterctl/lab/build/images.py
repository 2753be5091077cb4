"""The images of a cluster: what is in each, and how it starts, as in the official ones."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from clusterctl.errors import ClusterctlError
from clusterctl.lab.build import apt, golang, kubernetes, rootfs, versions
from clusterctl.lab.build.golang import GoBuild
from clusterctl.lab.build.image import Content, Settings, write_image, write_layer, write_tree_layer
from clusterctl.lab.build.items import FILES, Item, Workshop, machine, ours

OFFICIAL = "registry.k8s.io/"
VERSION_LABEL = "org.opencontainers.image.version"

_PASSWD = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"  # noqa: S105
_BARE = Content(texts={"etc/passwd": _PASSWD}, directories={"tmp": 0o1777})
_ETCD = ("go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3")
_COREDNS = "github.com/coredns/coredns"
_FLANNEL = "github.com/flannel-io/flannel"
_PLUGINS = "github.com/containernetworking/plugins"
_METRICS_SERVER = "sigs.k8s.io/metrics-server"
_TENCENT = "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"

BASE_PACKAGES = (
    "iptables", "nftables", "ipset", "conntrack", "kmod", "iproute2", "ca-certificates", "nginx-light", "curl",
)  # fmt: skip
"""What is in the layer that the images of kube-proxy, flannel and nginx share."""

BASE_REMOVED = (
    "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/perl*", "usr/share/zoneinfo/*",
    "usr/lib/*/perl*", "usr/lib/*/libperl.so*", "usr/lib/*/gconv", "usr/bin/perl*", "usr/lib/udev", "var/lib/dpkg",
    "var/lib/apt/*", "var/cache/*", "var/log/*.log", "var/log/apt", "etc/hostname", "etc/resolv.conf", "dev/*",
    "usr/share/bash-completion", "usr/share/common-licenses", "usr/share/lintian", "usr/share/info/*",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An image that the registry serves: its path and tag there, and the item that holds its OCI layout."""

    repository: str
    tag: str
    item: Item


def split(name: str) -> tuple[str, str]:
    """An official image's path and tag: ``registry.k8s.io/etcd:3.6.8-0`` is ``etcd`` and ``3.6.8-0``."""
    repository, _, tag = name.removeprefix(OFFICIAL).rpartition(":")
    return repository, tag


def kubernetes_images(names: tuple[str, ...], programs: Item, base: Item) -> tuple[Image, ...]:
    """The images that kubeadm asks for, each with the item that builds it."""
    makers: Mapping[str, Callable[[str], Item]] = {
        **{name: _control_plane(name, programs) for name in kubernetes.CONTROL_PLANE},
        "kube-proxy": lambda tag: _kube_proxy(tag, programs, base),
        "etcd": etcd,
        "coredns/coredns": coredns,
        "pause": pause,
    }
    found = []
    for name in names:
        repository, tag = split(name)
        if repository not in makers:
            raise ClusterctlError(
                f"kubeadm asks for the image {name}, and the lab does not know how to build it",
                resolution="add it to clusterctl/lab/build/images.py",
            )
        found.append(Image(repository, tag, makers[repository](tag)))
    return tuple(found)


def other_images(base: Item) -> tuple[Image, ...]:
    """The images of the pod network and of the workload that checks it."""
    return (
        Image("flannel-io/flannel", f"v{versions.FLANNEL}", flannel(base)),
        Image("flannel-io/flannel-cni-plugin", versions.FLANNEL_CNI_TAG, flannel_cni_plugin(base)),
        Image("library/nginx", versions.NGINX_TAG, nginx(base)),
    )


def extra_images(names: Sequence[str]) -> tuple[Image, ...]:
    """The images that are built on request only; ``names`` are some of ``versions.EXTRAS``."""
    makers = {"metrics-server": lambda: Image(*split(_metrics_server_name()), metrics_server())}
    return tuple(makers[name]() for name in names)


def _metrics_server_name() -> str:
    return f"{OFFICIAL}metrics-server/metrics-server:v{versions.METRICS_SERVER}"


def metrics_server() -> Item:
    """metrics-server, alone in its image as in the official one."""
    wanted = GoBuild(
        requires={_METRICS_SERVER: f"v{versions.METRICS_SERVER}"},
        packages=(f"{_METRICS_SERVER}/cmd/metrics-server",),
        sets={"k8s.io/component-base/version.gitVersion": f"v{versions.METRICS_SERVER}"},
    )
    settings = Settings(
        entrypoint=("/metrics-server",), user="65534", labels={VERSION_LABEL: f"v{versions.METRICS_SERVER}"}
    )

    def make(shop: Workshop, target: Path) -> None:
        programs = golang.build(shop, target, wanted)
        content = Content(
            files={"metrics-server": programs / "metrics-server"}, texts=_BARE.texts, directories=_BARE.directories
        )
        _finish(shop, target, content, settings)

    return Item(
        f"image-metrics-server-v{versions.METRICS_SERVER}", (wanted.recipe(), _text(settings)), make,
        tools=("go",), seconds=240, gigabytes=1.5,
    )  # fmt: skip


def base_layer(distribution: apt.Distribution = apt.BOOKWORM) -> Item:
    """The layer ``layer.tar`` of a small Debian with networking tools and nginx."""

    def make(shop: Workshop, target: Path) -> None:
        tree = target / "tree"
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
        rootfs.bootstrap(shop, distribution, "essential", BASE_PACKAGES, tree, *excluded)
        for pattern in BASE_REMOVED:
            for path in tree.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        write_tree_layer(tree, target / "layer.tar")
        shutil.rmtree(tree)

    return Item(
        "image-base", (distribution.codename, *BASE_PACKAGES, *BASE_REMOVED), make,
        tools=("mmdebstrap", distribution.keyring), seconds=45, gigabytes=0.4,
    )  # fmt: skip


def etcd(tag: str) -> Item:
    """etcd with its two tools. Where this very version cannot be had, the nearest patch, which is then told."""
    wanted = tag.removeprefix("v").partition("-")[0]

    def make(shop: Workshop, target: Path) -> None:
        version = next(
            (
                each
                for each in nearest_patches(wanted)
                if all(golang.download(shop, target, module, f"v{each}") for module in _ETCD)
            ),
            wanted,
        )
        programs = golang.build(shop, target, GoBuild(requires=dict.fromkeys(_ETCD, f"v{version}"), packages=_ETCD))
        (programs / "server").rename(programs / "etcd")
        _tell_version(shop, target, wanted, version)
        files = {f"usr/local/bin/{path.name}": path for path in programs.iterdir()}
        settings = Settings(entrypoint=("/usr/local/bin/etcd",), labels={VERSION_LABEL: version})
        _finish(shop, target, Content(files=files, texts=_BARE.texts, directories=_BARE.directories), settings)

    return Item(f"image-etcd-{tag}", ("1", *_ETCD), make, tools=("go",), seconds=70, gigabytes=0.6)


def coredns(tag: str) -> Item:
    """CoreDNS with the plugins of kubeadm's Corefile."""
    wanted = tag.removeprefix("v")
    main = (FILES / "coredns/main.go").read_text()

    def make(shop: Workshop, target: Path) -> None:
        version = next(
            (each for each in nearest_patches(wanted) if golang.download(shop, target, _COREDNS, f"v{each}")),
            wanted,
        )
        programs = golang.build(shop, target, GoBuild(requires={_COREDNS: f"v{version}"}, main=main))
        _tell_version(shop, target, wanted, version)
        settings = Settings(entrypoint=("/coredns",), labels={VERSION_LABEL: version}, ports=("53/tcp", "53/udp"))
        content = Content(files={"coredns": next(programs.iterdir())}, texts=_BARE.texts, directories=_BARE.directories)
        _finish(shop, target, content, settings)

    return Item(f"image-coredns-{tag}", ("1", main), make, tools=("go",), seconds=120, gigabytes=0.8)


def pause(tag: str) -> Item:
    """The program that holds a pod's namespaces: ours, for it is a dozen lines."""
    wanted = GoBuild(requires={}, main=(FILES / "pause/main.go").read_text())
    settings = Settings(entrypoint=("/pause",), user="65535:65535", labels={VERSION_LABEL: tag})

    def make(shop: Workshop, target: Path) -> None:
        programs = golang.build(shop, target, wanted)
        _finish(shop, target, Content(files={"pause": next(programs.iterdir())}), settings)

    return Item(f"image-pause-{tag}", (wanted.recipe(), _text(settings)), make, tools=("go",), seconds=3, gigabytes=0.1)


def flannel(base: Item) -> Item:
    """flannel's daemon; its UDP backend is C, so the C library is linked in."""
    wanted = GoBuild(
        requires={_FLANNEL: f"v{versions.FLANNEL}"},
        replaces={_TENCENT: f"{_TENCENT} v1.3.103"},
        packages=(_FLANNEL,),
        sets={f"{_FLANNEL}/pkg/version.Version": f"v{versions.FLANNEL}"},
        static=True,
    )
    settings = Settings(
        entrypoint=("/opt/bin/flanneld",),
        path="PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin",
        labels={VERSION_LABEL: f"v{versions.FLANNEL}"},
    )

    def make(shop: Workshop, target: Path) -> None:
        programs = golang.build(shop, target, wanted)
        content = Content(files={"opt/bin/flanneld": programs / "flannel"})
        _finish(shop, target, content, settings, base)

    return Item(
        f"image-flannel-v{versions.FLANNEL}", (wanted.recipe(), _text(settings)), make,
        needs=(base,), tools=("go", "gcc"), seconds=150, gigabytes=0.8,
    )  # fmt: skip


def flannel_cni_plugin(base: Item) -> Item:
    """flannel's CNI plugin, from the last release of the CNI plugins that contained it."""
    wanted = GoBuild(
        requires={_PLUGINS: f"v{versions.FLANNEL_CNI_SOURCE}"}, packages=(f"{_PLUGINS}/plugins/meta/flannel",)
    )
    settings = Settings(labels={VERSION_LABEL: f"v{versions.FLANNEL_CNI_SOURCE}"})

    def make(shop: Workshop, target: Path) -> None:
        programs = golang.build(shop, target, wanted)
        _tell_version(shop, target, versions.FLANNEL_CNI_TAG, f"CNI plugins {versions.FLANNEL_CNI_SOURCE}")
        # The manifest's init container runs ``cp -f /flannel …`` in this image: the base has a cp.
        _finish(shop, target, Content(files={"flannel": programs / "flannel"}), settings, base)

    return Item(
        f"image-flannel-cni-plugin-{versions.FLANNEL_CNI_TAG}",
        (wanted.recipe(), _text(settings)), make,
        needs=(base,), tools=("go",), seconds=10, gigabytes=0.3,
    )  # fmt: skip


def nginx(base: Item) -> Item:
    """nginx as its official image serves: /usr/share/nginx/html on port 80, in the foreground, logs to stdout."""
    settings = Settings(
        command=("nginx", "-g", "daemon off;"), ports=("80/tcp",), stop_signal="SIGQUIT",
        labels={VERSION_LABEL: versions.NGINX_TAG},
    )  # fmt: skip

    def make(shop: Workshop, target: Path) -> None:
        files = FILES / "nginx"
        content = Content(
            files={
                "etc/nginx/nginx.conf": files / "nginx.conf",
                "etc/nginx/conf.d/default.conf": files / "default.conf",
            },
            links={"var/log/nginx/access.log": "/dev/stdout", "var/log/nginx/error.log": "/dev/stderr"},
        )
        _finish(shop, target, content, settings, base)

    return Item(
        f"image-nginx-{versions.NGINX_TAG}",
        (_text(settings), *ours("nginx")),
        make,
        needs=(base,),
        seconds=2,
        gigabytes=0.1,
    )


def nearest_patches(version: str) -> tuple[str, ...]:
    """The version, then the patch releases around it, the nearest first and the lower before the higher."""
    minor, _, patch = version.rpartition(".")
    numbers = sorted(range(max(0, int(patch) - 5), int(patch) + 6), key=lambda each: (abs(each - int(patch)), each))
    return tuple(f"{minor}.{each}" for each in numbers)


def _control_plane(name: str, programs: Item) -> Callable[[str], Item]:
    def item(tag: str) -> Item:
        settings = Settings(entrypoint=(f"/usr/local/bin/{name}",), labels={VERSION_LABEL: tag})

        def make(shop: Workshop, target: Path) -> None:
            files = {f"usr/local/bin/{name}": shop.path(programs) / "bin" / name}
            content = Content(files=files, texts=_BARE.texts, directories=_BARE.directories)
            _finish(shop, target, content, settings)

        return Item(
            f"image-{name}-{tag}", (_text(settings), _PASSWD), make, needs=(programs,), seconds=2, gigabytes=0.1
        )

    return item


def _kube_proxy(tag: str, programs: Item, base: Item) -> Item:
    settings = Settings(entrypoint=("/usr/local/bin/kube-proxy",), labels={VERSION_LABEL: tag})

    def make(shop: Workshop, target: Path) -> None:
        content = Content(files={"usr/local/bin/kube-proxy": shop.path(programs) / "bin/kube-proxy"})
        _finish(shop, target, content, settings, base)

    return Item(f"image-kube-proxy-{tag}", (_text(settings),), make, needs=(programs, base), seconds=2, gigabytes=0.1)


def _finish(shop: Workshop, target: Path, content: Content, settings: Settings, base: Item | None = None) -> None:
    """Turn built files into an OCI layout, and leave nothing else in the item."""
    layer = target / "layer.tar"
    write_layer(content, layer)
    layers = [layer] if base is None else [shop.path(base) / "layer.tar", layer]
    write_image(target, layers, settings, machine(), shop.tick)
    layer.unlink()
    golang.tidy(target)


def _tell_version(shop: Workshop, target: Path, wanted: str, version: str) -> None:
    """Tell, and keep in the item, when what is inside is not what the tag says."""
    if version != wanted:
        text = f"{wanted} cannot be had as a Go module: this image contains {version}"
        (target / "note").write_text(text + "\n")
        shop.note(text)


def _text(settings: Settings) -> str:
    return json.dumps(asdict(settings), sort_keys=True)
