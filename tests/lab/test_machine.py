"""What a machine is made of."""

import os
from pathlib import Path

import pytest

from clusterctl.lab.machine import (
    Identity,
    Overlay,
    PackageSource,
    command,
    hosts_file,
    key_pair,
    prepare,
    resolv_conf,
    specification,
)
from tests.lab.builders import make_state


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system with as much in it as the identity of a machine touches."""
    tree = tmp_path / "rootfs"
    (tree / "etc/ssh/sshd_config.d").mkdir(parents=True)
    (tree / "etc/ssh").chmod(0o751)
    (tree / "etc/apt/sources.list.d").mkdir(parents=True)
    (tree / "etc/apt/sources.list.d/debian.sources").write_text("# Debian\nEnabled: no\nTypes: deb\n")
    (tree / "home/admin").mkdir(parents=True)
    uid, gid = os.getuid(), os.getgid()
    (tree / "etc/passwd").write_text(f"root:x:{uid}:{gid}::/root:/bin/sh\nadmin:x:{uid}:{gid}::/home/admin:/bin/sh\n")
    return tree


IDENTITY = Identity(
    name="w1",
    address="10.77.0.21",
    machine_id="0" * 32,
    host_key="private",
    host_key_public="ssh-ed25519 AAAA w1",
    authorized_key="ssh-ed25519 BBBB lab",
    hosts="127.0.0.1 localhost\n",
    resolv_conf="nameserver 192.0.2.53\n",
)


def test_a_machine_knows_localhost_itself_and_the_others() -> None:
    """Without localhost probes fail, without its own name sudo complains."""
    assert hosts_file(make_state(), "w1") == (
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n10.77.0.21 w1\n10.77.0.11 cp1\n10.77.0.22 w2\n"
    )


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ({"/etc/resolv.conf": "# written\nnameserver 192.0.2.53\nsearch lan\n"}, "nameserver 192.0.2.53\nsearch lan\n"),
        (
            {
                "/etc/resolv.conf": "nameserver 127.0.0.53\n",
                "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.1\n",
            },
            "nameserver 192.0.2.1\n",
        ),
        ({"/etc/resolv.conf": "nameserver 127.0.0.1\nnameserver 192.0.2.9\n"}, "nameserver 192.0.2.9\n"),
        ({"/etc/resolv.conf": "nameserver 127.0.0.1\n"}, ""),
    ],
)
def test_machines_ask_a_resolver_that_they_reach(read: dict[str, str], expected: str) -> None:
    """A resolver on this computer's loopback address is out of a machine's reach."""
    assert resolv_conf(read) == expected


def test_identity_is_written_over_the_common_root(rootfs: Path, tmp_path: Path) -> None:
    """What differs between machines is in the upper layer, with the modes of the lower one's directories."""
    prepare(tmp_path / "w1", rootfs, IDENTITY, None)
    upper = tmp_path / "w1/upper"

    assert (upper / "etc/machine-id").read_text() == "0" * 32 + "\n"
    assert (upper / "etc/hostname").read_text() == "w1\n"
    assert (upper / "etc/ssh").stat().st_mode & 0o777 == 0o751
    assert (upper / "etc/ssh/ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert (upper / "home/admin/.ssh").stat().st_mode & 0o777 == 0o700
    assert (upper / "home/admin/.ssh/authorized_keys").read_text() == "ssh-ed25519 BBBB lab\n"


def test_official_sources_need_debians_archive(rootfs: Path, tmp_path: Path) -> None:
    """The distribution's own packages are switched on when the lab serves none."""
    prepare(tmp_path / "w1", rootfs, IDENTITY, None)

    assert "Enabled: yes" in (tmp_path / "w1/upper/etc/apt/sources.list.d/debian.sources").read_text()


def test_the_labs_own_packages_are_trusted_by_their_key(rootfs: Path, tmp_path: Path) -> None:
    """Debian's archive stays off; the repository is bound to its key."""
    key = tmp_path / "Release.key"
    key.write_text("a key")

    prepare(tmp_path / "w1", rootfs, IDENTITY, PackageSource("http://10.77.0.1:8080/containerd/", key))

    apt = tmp_path / "w1/upper/etc/apt"
    assert (apt / "sources.list.d/clusterctl-lab.list").read_text() == (
        "deb [signed-by=/etc/apt/keyrings/clusterctl-lab.asc] http://10.77.0.1:8080/containerd/ ./\n"
    )
    assert (apt / "keyrings/clusterctl-lab.asc").read_text() == "a key"
    assert not (apt / "sources.list.d/debian.sources").exists()


def test_a_root_file_system_without_the_user_is_told(rootfs: Path, tmp_path: Path) -> None:
    """A wrong root file system is noticed before a machine boots from it."""
    with pytest.raises(LookupError, match="has no user 'nobody-here'"):
        Overlay(rootfs, tmp_path).write("home/x/file", "", owner="nobody-here")


def test_the_machine_boots_with_a_file_system_of_its_own() -> None:
    """The overlay is mounted in a namespace that ends with the machine; containerd gets a plain directory."""
    words = command(make_state(), Path("/state/w1"), "w1")

    assert words[:5] == ["unshare", "--mount", "--propagation", "slave", "sh"]
    assert "lowerdir=/cache/rootfs/tree,upperdir=/state/w1/upper,workdir=/state/w1/work" in words
    assert "--network-namespace-path=/run/netns/clusterctl-lab-w1" in words
    assert "--bind=/state/w1/containerd:/var/lib/containerd" in words


def test_colons_and_commas_in_paths_reach_the_mount() -> None:
    """Both mean something in the options of an overlay."""
    words = command(make_state(rootfs=Path("/a:b,c")), Path("/state/w1"), "w1")

    assert any(word.startswith("lowerdir=/a\\:b\\,c,upperdir=") for word in words)


@pytest.mark.parametrize(("version", "systemd", "unified", "delegated"), [(1, True, "0", False), (2, True, "1", True)])
def test_the_machine_sees_the_control_groups_of_this_computer(
    version: int, systemd: bool, unified: str, delegated: bool
) -> None:
    """systemd inside uses the same version; on version 2 systemd outside delegates a scope."""
    spec = specification(make_state(cgroup_version=version), Path("/state/w1"), "w1", systemd=systemd)

    assert spec["environment"]["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] == unified
    assert spec["delegated"] is delegated


def test_keys_are_fresh_and_in_the_format_of_openssh() -> None:
    """Two machines never share one."""
    (private, public), (_, other) = key_pair("w1"), key_pair("w1")

    assert private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert public.startswith("ssh-ed25519 AAAA")
    assert public.endswith(" w1")
    assert public != other
