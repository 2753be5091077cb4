"""The root file system that all lab machines share: Debian 12 with what a node needs and no Kubernetes."""

import json
import os
import shutil
from dataclasses import astuple, dataclass
from pathlib import Path

from clusterctl.lab.build import apt
from clusterctl.lab.build.items import FILES, Item, Workshop, machine, ours

# Every tool that changes a tree runs in a mount and process namespace of its own: whatever ends it, no mount
# and no process of it stays behind.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "--")


@dataclass(frozen=True)
class Recipe:
    """What a machine's root file system is made of."""

    distribution: apt.Distribution
    packages: tuple[str, ...]
    removed: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]


# Useless or harmful where the kernel and its devices are the outer machine's.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "console-getty.service", "getty.target", "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount", "dev-hugepages.mount", "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "systemd-firstboot.service", "systemd-machine-id-commit.service", "systemd-modules-load.service",
    "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-pstore.service",
    "systemd-random-seed.service", "systemd-remount-fs.service", "systemd-repart.service",
    "systemd-udev-settle.service", "systemd-udev-trigger.service", "systemd-udevd.service",
    "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "kmod-static-nodes.service",
    "systemd-networkd.service", "systemd-networkd-wait-online.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "systemd-journald-audit.socket",
)  # fmt: skip

DEBIAN_12 = Recipe(
    distribution=apt.BOOKWORM,
    packages=(
        # a machine that boots and answers SSH
        "systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "openssh-server", "sudo", "less",
        "ca-certificates", "curl", "gnupg", "iproute2", "iputils-ping", "mount", "util-linux",
        # what the packages of a node depend on, so that a bootstrap installs nothing else
        "iptables", "nftables", "conntrack", "ethtool", "socat", "ipset", "libseccomp2",
    ),
    # What each machine gets of its own when it boots, and what only takes space.
    removed=(
        "etc/hostname", "etc/resolv.conf", "etc/ssh/ssh_host_*", "etc/apt/sources.list*",
        "etc/apt/apt.conf.d/99mmdebstrap", "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*",
        "usr/lib/udev/hwdb.bin", "usr/lib/udev/hwdb.d/*", "var/log/*.log", "var/log/apt/*",
    ),
    commands=(
        ("useradd", "--create-home", "--shell", "/bin/bash", "--password", "*", "admin"),
        ("usermod", "--password", "!", "root"),
        ("systemctl", "enable", "ssh.service", "clusterctl-lab-mounts.service"),
        ("systemctl", "set-default", "multi-user.target"),
        ("systemctl", "mask", *MASKED),
    ),
)  # fmt: skip


def rootfs(recipe: Recipe = DEBIAN_12) -> Item:
    """The root file system, in ``tree/``."""

    def make(shop: Workshop, target: Path) -> None:
        bootstrap(shop, recipe.distribution, "minbase", recipe.packages, target / "tree")
        tree = target / "tree"
        for pattern in recipe.removed:
            for path in tree.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(FILES / "rootfs", tree, dirs_exist_ok=True)
        (tree / "etc/sudoers.d/admin").chmod(0o440)
        (tree / "etc/machine-id").write_text("")
        (tree / "etc/apt/sources.list.d").mkdir(parents=True, exist_ok=True)
        (tree / "etc/apt/sources.list.d/debian.sources").write_text(_switched_off(recipe.distribution))
        (tree / "etc/apt/apt.conf.d/91outer-machine").write_text(apt.outer_settings())
        for command in recipe.commands:
            inside(shop, tree, *command)

    return Item(
        f"rootfs-{recipe.distribution.codename}",
        (json.dumps(astuple(recipe)), *ours("rootfs")),
        make,
        tools=("mmdebstrap", recipe.distribution.keyring),
        seconds=45,
        gigabytes=0.6,
    )


def bootstrap(
    shop: Workshop,
    distribution: apt.Distribution,
    variant: str,
    packages: tuple[str, ...],
    target: Path,
    *options: str,
) -> None:
    """Install a small system of a distribution into a directory, or into a tar archive (``.tar``)."""
    listed, configured = target.with_name("apt.sources"), target.with_name("apt.conf")
    listed.write_text(apt.sources(distribution, apt.outer_sources()))
    configured.write_text(apt.outer_settings() + 'APT::Install-Recommends "false";\n')
    shop.run(
        *ALONE, "mmdebstrap", "--mode=root", f"--variant={variant}", f"--architectures={machine()}",
        f"--aptopt={configured}", "--dpkgopt=force-unsafe-io", f"--include={','.join(packages)}", *options,
        distribution.codename, target, listed,
        env={"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    listed.unlink()
    configured.unlink()


def inside(shop: Workshop, tree: Path, *argv: str | os.PathLike[str]) -> None:
    """Run a program of a tree with that tree as its root."""
    shop.run(*ALONE, "chroot", tree, *argv, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


def _switched_off(distribution: apt.Distribution) -> str:
    """Debian's own sources for a machine, there to be switched on: a bootstrap does not need them."""
    stanzas = apt.sources(distribution, apt.outer_sources()).split("\n\n")
    return (
        "# The lab's repositories have all that a bootstrap installs. To use Debian's archive as well:\n"
        "#   sed -i s/no$/yes/ /etc/apt/sources.list.d/debian.sources && apt-get update\n"
        + "\n".join(f"Enabled: no\n{stanza.strip()}\n" for stanza in stanzas)
    )
