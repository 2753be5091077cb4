"""Where a machine's control groups go."""

from pathlib import Path

from clusterctl.lab.cgroups import clear, tree, v1_groups, v2_groups, version

OWN = """\
3:name=systemd:/user.slice
2:cpu,cpuacct:/
1:memory:/process_api/abc
0::/
"""
MOUNTS = """\
20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 20 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:2 - cgroup cgroup rw,cpu,cpuacct
31 20 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 20 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
33 20 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_v1_has_a_group_in_every_hierarchy_below_the_own_one() -> None:
    """systemd's own hierarchy counts, and the unified one of a hybrid layout, which systemd-nspawn goes by."""
    assert v1_groups(OWN, MOUNTS, "clusterctl-lab-w1") == (
        Path("/sys/fs/cgroup/systemd/user.slice/clusterctl-lab-w1"),
        Path("/sys/fs/cgroup/cpu,cpuacct/clusterctl-lab-w1"),
        Path("/sys/fs/cgroup/memory/process_api/abc/clusterctl-lab-w1"),
        Path("/sys/fs/cgroup/unified/clusterctl-lab-w1"),
    )


def test_v1_counts_paths_from_the_root_of_the_mount() -> None:
    """Inside a container the hierarchy is mounted from the container's own group."""
    mounts = "31 20 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"

    assert v1_groups("1:memory:/docker/abc/init\n", mounts, "m") == (Path("/sys/fs/cgroup/memory/init/m"),)


def test_v1_leaves_out_hierarchies_that_are_not_mounted() -> None:
    """A controller without a mount cannot be used."""
    assert v1_groups("1:rdma:/\n", MOUNTS, "m") == ()


def test_v2_uses_the_scope_that_systemd_delegated() -> None:
    """The machine and its supervisor are side by side below the scope, which passes its controllers on."""
    groups = v2_groups("0::/machine.slice/clusterctl-lab-w1.scope\n", "clusterctl-lab-w1", delegated=True)
    scope = Path("/sys/fs/cgroup/machine.slice/clusterctl-lab-w1.scope")

    assert groups.machine == (scope / "machine",)
    assert groups.watch == scope / "watch"
    assert groups.givers == (scope,)
    assert groups.above == ()


def test_v2_without_systemd_uses_the_top() -> None:
    """Nobody else removes the group then, so that the lab does."""
    groups = v2_groups("0::/somewhere\n", "clusterctl-lab-w1", delegated=False)
    top = Path("/sys/fs/cgroup")

    assert groups.machine == (top / "clusterctl-lab-w1/machine",)
    assert groups.givers == (top, top / "clusterctl-lab-w1")
    assert groups.above == (top / "clusterctl-lab-w1",)


def test_version_is_that_of_the_controllers(tmp_path: Path) -> None:
    """Only a unified hierarchy at the top is version 2; a hybrid layout works like version 1."""
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified/cgroup.controllers").touch()
    assert version(tmp_path) == 1

    (tmp_path / "cgroup.controllers").touch()
    assert version(tmp_path) == 2


def test_groups_are_removed_deepest_first(tmp_path: Path) -> None:
    """A kubelet's leftovers go before the groups around them; groups that are gone already are no problem."""
    deep = tmp_path / "machine/kubepods/burstable/pod1"
    deep.mkdir(parents=True)

    assert tree(tmp_path / "machine")[0] == deep
    assert clear([tmp_path / "machine", tmp_path / "gone"])
    assert not (tmp_path / "machine").exists()


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """The caller learns that something stayed."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine/file").touch()

    assert not clear([tmp_path / "machine"], seconds=0)
