"""This computer: what a lab needs of it, and the settings a lab changes and puts back."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from clusterctl.errors import ClusterctlError, CommandFailed, InputError, Refused
from clusterctl.lab.lock import exclusive
from clusterctl.lab.process import read_record, write_record
from clusterctl.lab.state import this_boot

PROGRAMS: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables-save": "iptables",
    "iptables-restore": "iptables",
    "mount": "mount",
    "setsid": "util-linux",
    "unshare": "util-linux",
}

# The kubelet wants exactly the first six; they are not those of a namespace, so this computer must have them.
SYSCTLS: Mapping[str, int] = {
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
    "kernel.keys.root_maxkeys": 1000000,
    "kernel.keys.root_maxbytes": 25000000,
    "net.ipv4.ip_forward": 1,
}
# Many machines share one limit: more is fine, less is raised.
SYSCTLS_AT_LEAST: Mapping[str, int] = {
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
}

_REGISTER = Path("/run/clusterctl-lab.json")
_NAMESPACES = Path("/run/netns")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resources:
    """What is free, in bytes."""

    memory: int
    disk: int


def needed(control_planes: int, workers: int) -> Resources:
    """Return what machines take: seen with Kubernetes and a few pods on them, and some more."""
    machines = control_planes + workers
    return Resources((256 + 768 * control_planes + 384 * workers) * _MIB, (512 + 2048 * machines) * _MIB)


def check_resources(want: Resources, have: Resources, where: Path) -> None:
    """Raise Refused when there is too little memory or disk."""
    for what, asked, there, advice in (
        ("memory", want.memory, have.memory, "ask for fewer machines, or end other programs"),
        (
            f"space below {where}",
            want.disk,
            have.disk,
            "ask for fewer machines, or set XDG_STATE_HOME to a larger disk",
        ),
    ):
        if there < asked:
            raise Refused(
                f"too little {what} for this lab: {there // _MIB} MiB are free, {asked // _MIB} MiB are needed",
                resolution=advice,
            )


def free_resources(where: Path) -> Resources:
    """Look at what is free, the disk at ``where``."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return Resources(available * 1024, shutil.disk_usage(where).free)


def unsuitable() -> ClusterctlError | None:
    """Return why this computer cannot host a lab, or None when it can."""
    if platform.system() != "Linux":
        return InputError(
            f"a lab needs Linux, and this is {platform.system()}",
            resolution="run the same command in a Linux virtual machine",
        )
    if os.geteuid() != 0:
        return InputError(
            "a lab needs root: it makes network namespaces, mounts and control groups",
            resolution="sudo clusterctl lab …",
        )
    missing = {program: package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        return InputError(
            "this computer lacks programs that a lab needs: " + ", ".join(missing),
            resolution="apt-get install " + " ".join(sorted(set(missing.values()))),
        )
    return None


def check_suitable() -> None:
    """Raise InputError when this computer cannot host a lab."""
    error = unsuitable()
    if error is not None:
        raise error


def check_file_system(where: Path) -> None:
    """Raise InputError where an overlay cannot be put on top: on another overlay."""
    kind = _file_system(where, Path("/proc/self/mountinfo").read_text())
    if kind == "overlay":
        raise InputError(
            f"{where} is on an overlay file system, which cannot carry the machines' own",
            resolution="set XDG_STATE_HOME to a directory on a disk or a tmpfs, and XDG_CACHE_HOME as well",
        )


def _file_system(where: Path, mountinfo: str) -> str:
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if where.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def has_systemd() -> bool:
    """Whether systemd runs this computer, and so owns its control groups."""
    return Path("/run/systemd/system").is_dir()


# --- Settings ------------------------------------------------------------------------------------------------


@contextmanager
def network_lock() -> Iterator[None]:
    """Let one lab at a time of all users choose a network and change settings."""
    with exclusive(_REGISTER.with_suffix(".lock"), wait=True):
        yield


def to_change(current: Mapping[str, int]) -> dict[str, int]:
    """Return the settings that have to change, with the values they need."""
    exact = {key: value for key, value in SYSCTLS.items() if current[key] != value}
    raised = {key: value for key, value in SYSCTLS_AT_LEAST.items() if current[key] < value}
    return {**exact, **raised}


@dataclass(slots=True)
class _Register:
    """The labs of all users, and the settings that were changed for them. Lives as long as this boot."""

    before: dict[str, int]
    changed: dict[str, int]
    labs: list[str]
    namespaces: bool
    """Whether the directory of named network namespaces was mounted before ours."""

    @classmethod
    def read(cls) -> "_Register":
        record = read_record(_REGISTER)
        if record.get("boot") != this_boot():
            return cls({}, {}, [], _namespaces_mounted())
        return cls(record["before"], record["changed"], record["labs"], record["namespaces"])

    def write(self) -> None:
        write_record(_REGISTER, {"boot": this_boot(), **asdict(self)})


def check_not_used(lab: Path) -> None:
    """Raise Refused when another user, or another state directory, has a lab of this name."""
    for other in _Register.read().labs:
        if other != str(lab) and Path(other).name == lab.name and Path(other).is_dir():
            raise Refused(
                f"there is another lab {lab.name!r} on this computer, in {other}",
                resolution=f"give this one another name: clusterctl lab up --name {lab.name}-2",
            )


def labs_in_use() -> tuple[Path, ...]:
    """The directories of all labs on this computer, whoever's they are."""
    return tuple(Path(lab) for lab in _Register.read().labs if Path(lab).is_dir())


def _namespaces_mounted() -> bool:
    # A bind mount of its own file system, which Path.is_mount cannot tell from a directory.
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == str(_NAMESPACES) for line in mounts)


def acquire_settings(lab: Path) -> None:
    """Give this computer the settings its labs need, after writing down what they were before."""
    register = _Register.read()
    change = to_change({key: _read(key) for key in (*SYSCTLS, *SYSCTLS_AT_LEAST)})
    for key, value in change.items():
        register.before.setdefault(key, _read(key))
        register.changed[key] = value
    register.labs = sorted({*register.labs, str(lab)})
    register.write()
    for key, value in change.items():
        _write(key, value)


def release_settings(lab: Path) -> None:
    """Put the settings back when this was the last lab; leave alone what somebody else changed since."""
    register = _Register.read()
    register.labs = [other for other in register.labs if other != str(lab) and Path(other).is_dir()]
    if register.labs:
        register.write()
        return
    for key, value in register.before.items():
        if _read(key) == register.changed[key]:
            _write(key, value)
    if not register.namespaces and _namespaces_mounted() and not any(_NAMESPACES.iterdir()):
        subprocess.run(["umount", str(_NAMESPACES)], capture_output=True, text=True, check=True)
        _NAMESPACES.rmdir()
    _REGISTER.unlink(missing_ok=True)


def _path(key: str) -> Path:
    return Path("/proc/sys", *key.split("."))


def _read(key: str) -> int:
    return int(_path(key).read_text())


def _write(key: str, value: int) -> None:
    _path(key).write_text(f"{value}\n")


# --- Swap ----------------------------------------------------------------------------------------------------


def swap_names(swaps: str) -> tuple[str, ...]:
    """Return the file names, without directories, of the swap files in ``/proc/swaps``.

    The directories are those the machine saw that switched the file on; they lead nowhere here.
    """
    rows = [line.split() for line in swaps.splitlines()[1:]]
    return tuple(_unescape(row[0]).rpartition("/")[2] for row in rows if row[1] == "file")


def _unescape(path: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def swap_off(directory: Path) -> tuple[Path, ...]:
    """Switch off the swap files that a lab's machines left on; return them."""
    names = swap_names(Path("/proc/swaps").read_text())
    if not names:
        return ()
    off = []
    for folder, _, files in os.walk(directory):
        for file in sorted(set(files) & set(names)):
            # For a file that is no swap file, only one of the same name, this fails and changes nothing.
            path = Path(folder, file)
            if subprocess.run(["swapoff", str(path)], capture_output=True, check=False).returncode == 0:
                off.append(path)
    return tuple(off)


@contextmanager
def failures_told(doing: str, resolution: str = "") -> Iterator[None]:
    """Turn the failure of a program into an error that says what it was needed for."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        command: Sequence[str] = error.cmd
        raise CommandFailed(
            f"cannot {doing}: {' '.join(command[:3])} exited with code {error.returncode}",
            details=str(error.stderr or error.output or "").strip(),
            resolution=resolution,
        ) from error
