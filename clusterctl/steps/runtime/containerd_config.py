"""containerd's own configuration, by its version."""

import tomli_w
from packaging.version import InvalidVersion, Version

from clusterctl.model import places
from clusterctl.rules.settings import Table, merge


def containerd_config(version: str, pause: str, *, runtime: Table, images: Table) -> str:
    """The configuration for containerd ``version``: format 3 since 2.0, format 2 before.

    ``pause`` is the sandbox image; ``runtime`` and ``images`` are merged over clusterctl's settings, in the
    names of format 3, most of which format 2 shares. (containerd docs/cri/config.md)
    """
    runc = {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}
    if parse_version(version) >= Version("2.0"):
        runtime_defaults: Table = {
            "cni": {"bin_dirs": ["/opt/cni/bin"], "conf_dir": "/etc/cni/net.d"},
            "containerd": {"runtimes": {"runc": runc}},
        }
        images_defaults: Table = {"pinned_images": {"sandbox": pause}, "registry": {"config_path": places.REGISTRIES}}
        plugins = {
            "io.containerd.cri.v1.images": merge(images_defaults, images),
            "io.containerd.cri.v1.runtime": merge(runtime_defaults, runtime),
        }
        return tomli_w.dumps({"version": 3, "plugins": plugins})
    defaults: Table = {
        "sandbox_image": pause,
        "cni": {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
        "containerd": {"runtimes": {"runc": runc}},
        "registry": {"config_path": places.REGISTRIES},
    }
    cri = merge(merge(defaults, images), runtime)
    return tomli_w.dumps({"version": 2, "plugins": {"io.containerd.grpc.v1.cri": cri}})


def parse_version(version: str) -> Version:
    """A version such as ``1.7.24`` or ``1.6.20~ds1``; what cannot be read counts as new."""
    try:
        return Version(version.partition("~")[0].partition("+")[0])
    except InvalidVersion:
        return Version("9999")
