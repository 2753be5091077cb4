"""What is asked of this computer, and what is read from it."""

from pathlib import Path

import pytest

from clusterctl.errors import InputError, Refused
from clusterctl.lab import host
from clusterctl.lab.host import Resources, check_file_system, check_resources, needed, swap_names, to_change

GIB = 1024**3


def test_only_linux_hosts_a_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the error says where to run the command instead."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")

    with pytest.raises(InputError, match="a lab needs Linux, and this is Darwin"):
        host.check_suitable()


def test_a_lab_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says why."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(InputError, match="a lab needs root"):
        host.check_suitable()


def test_a_missing_program_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolution is the command that installs it, each package once."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda program: None if "-" in program else f"/bin/{program}")

    error = host.unsuitable()

    assert error is not None
    assert error.what.endswith(": systemd-nspawn, iptables-save, iptables-restore")
    assert error.resolution == "apt-get install iptables systemd-container"


def test_larger_labs_need_more() -> None:
    """Every machine counts, control planes more than workers."""
    assert needed(1, 0).memory > needed(0, 1).memory
    assert needed(3, 3).disk > needed(1, 1).disk


@pytest.mark.parametrize(
    ("have", "message"),
    [
        (Resources(1 * GIB, 100 * GIB), "too little memory for this lab: 1024 MiB are free"),
        (Resources(100 * GIB, 1 * GIB), "too little space below /state for this lab: 1024 MiB are free"),
    ],
)
def test_too_little_of_anything_is_refused(have: Resources, message: str) -> None:
    """The error names what is free and what is needed."""
    with pytest.raises(Refused) as caught:
        check_resources(Resources(2 * GIB, 2 * GIB), have, Path("/state"))

    assert message in caught.value.what
    assert "2048 MiB are needed" in caught.value.what


def test_enough_is_enough() -> None:
    """Nothing is raised when everything is there."""
    check_resources(Resources(GIB, GIB), Resources(GIB, GIB), Path("/state"))


def test_only_settings_that_differ_change() -> None:
    """Limits are raised and never lowered; exact values are set in either direction."""
    current = {**host.SYSCTLS, **host.SYSCTLS_AT_LEAST}
    current |= {"kernel.panic": 20, "fs.inotify.max_user_instances": 9000, "fs.inotify.max_user_watches": 8192}

    assert to_change(current) == {"kernel.panic": 10, "fs.inotify.max_user_watches": 524288}


def test_settings_are_put_back_by_the_last_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first lab changes them, the last one restores them, and what somebody changed since is left alone."""
    values = {**host.SYSCTLS, **host.SYSCTLS_AT_LEAST, "kernel.panic": 0, "net.ipv4.ip_forward": 0}
    before = dict(values)
    monkeypatch.setattr(host, "_REGISTER", tmp_path / "register.json")
    monkeypatch.setattr(host, "_read", values.__getitem__)
    monkeypatch.setattr(host, "_write", values.__setitem__)
    monkeypatch.setattr(host, "_namespaces_mounted", lambda: True)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()

    host.acquire_settings(one)
    host.acquire_settings(two)
    host.release_settings(one)
    assert values["kernel.panic"] == 10

    values["net.ipv4.ip_forward"] = 2
    host.release_settings(two)
    assert values == {**before, "net.ipv4.ip_forward": 2}
    assert not (tmp_path / "register.json").exists()


def test_a_name_is_used_once_on_a_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Namespaces and rules carry the lab's name, so two users cannot have a lab of the same name."""
    monkeypatch.setattr(host, "_REGISTER", tmp_path / "register.json")
    other = tmp_path / "alice/lab"
    other.mkdir(parents=True)
    host._Register({}, {}, [str(other)], namespaces=True).write()

    host.check_not_used(tmp_path / "bob/lab-2")
    with pytest.raises(Refused, match="there is another lab 'lab' on this computer"):
        host.check_not_used(tmp_path / "bob/lab")


def test_swap_files_are_known_by_their_name() -> None:
    """Partitions are not ours; a path holds escapes, and directories of a machine that is not this one."""
    swaps = (
        "Filename\tType\tSize\tUsed\tPriority\n"
        "/dev/vda2 partition 1024 0 -2\n"
        "/var/lib/containerd/my\\040swap file 65532 0 -3\n"
    )

    assert swap_names(swaps) == ("my swap",)


def test_an_overlay_cannot_carry_a_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to set."""
    monkeypatch.setattr(host, "_file_system", lambda where, mountinfo: "overlay")

    with pytest.raises(InputError, match="is on an overlay") as caught:
        check_file_system(Path("/home/admin/.local/state"))

    assert "XDG_STATE_HOME" in caught.value.resolution


def test_the_nearest_mount_decides_the_file_system() -> None:
    """A disk mounted on top of an overlay is a disk."""
    mountinfo = "1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 / /data rw - ext4 /dev/sda1 rw\n"

    assert host._file_system(Path("/data/state"), mountinfo) == "ext4"
    assert host._file_system(Path("/database"), mountinfo) == "overlay"
