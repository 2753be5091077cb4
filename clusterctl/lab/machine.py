"""One machine: what it is made of, and what makes it different from the others."""

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterctl.lab import process
from clusterctl.lab.network import Cable
from clusterctl.lab.state import State

ADMIN = "admin"
_SYSTEM_CALLS = "add_key keyctl bpf perf_event_open @swap"

# systemd-nspawn gets a mount namespace in which to assemble the root file system: whatever ends the machine,
# the mount goes with it, and this computer never sees it.
_ASSEMBLE = 'mount -t overlay clusterctl-lab -o "$1" "$2" && shift 2 && exec "$@"'


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine has of its own, and what it knows of the others."""

    name: str
    address: str
    machine_id: str
    host_key: str
    host_key_public: str
    authorized_key: str
    hosts: str
    resolv_conf: str


@dataclass(frozen=True, slots=True)
class PackageSource:
    """The lab's repository with the packages that a distribution would bring: its address and its armoured key."""

    address: str
    key: Path


def identifier(lab: str, machine: str) -> str:
    """Return what names a machine's namespace and control groups on this computer."""
    return f"clusterctl-{lab}-{machine}"


def cable(state: State, name: str) -> Cable:
    """Return how a machine is connected."""
    address = next(machine.address for machine in state.machines if machine.name == name)
    network = state.network
    return Cable(
        namespace=identifier(state.name, name),
        link=f"{network.bridge}-{name}",
        bridge=network.bridge,
        address=address,
        gateway=network.gateway,
    )


def specification(state: State, directory: Path, name: str, *, systemd: bool) -> dict[str, Any]:
    """Return what the supervisor needs to know to boot a machine."""
    return {
        "id": identifier(state.name, name),
        "delegated": systemd and state.cgroup_version == 2,
        "network": cable(state, name).as_dict(),
        "command": command(state, directory, name),
        "environment": {
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1" if state.cgroup_version == 2 else "0",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
            "SYSTEMD_NSPAWN_LOCK": "0",
        },
    }


def command(state: State, directory: Path, name: str) -> list[str]:
    """Return the command that boots a machine."""
    lower, upper, work = (
        str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
        for path in (state.rootfs, directory / "upper", directory / "work")
    )
    root = str(directory / "root")
    return [
        *("unshare", "--mount", "--propagation", "slave", "sh", "-c", _ASSEMBLE, "sh"),
        *(f"lowerdir={lower},upperdir={upper},workdir={work}", root),
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
        *("--directory", root, "--machine", name),
        f"--network-namespace-path=/run/netns/{identifier(state.name, name)}",
        *("--capability=all", "--private-users=no", f"--system-call-filter={_SYSTEM_CALLS}"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--bind=/dev/kmsg"),
        f"--bind={directory / 'containerd'}:/var/lib/containerd",
        f"--bind={directory / 'kubelet'}:/var/lib/kubelet",
    ]


def start(state: State, directory: Path, name: str, *, systemd: bool) -> None:
    """Write a machine's specification and start its supervisor."""
    (directory / "supervisor.json").unlink(missing_ok=True)
    process.write_record(directory / "machine.json", specification(state, directory, name, systemd=systemd))
    prefix: Sequence[str] = ()
    if systemd and state.cgroup_version == 2:
        unit = f"--unit={identifier(state.name, name)}"
        prefix = ("systemd-run", "--scope", "--quiet", "--collect", "--slice=machine.slice", "-pDelegate=yes", unit)
    process.detach("clusterctl.lab.supervise", [str(directory)], directory / "supervisor.log", prefix)


def hosts_file(state: State, name: str) -> str:
    """Return ``/etc/hosts`` of a machine: it knows itself and all others by name."""
    own = next(machine for machine in state.machines if machine.name == name)
    others = [machine for machine in state.machines if machine != own]
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    return "\n".join([*lines, *(f"{machine.address} {machine.name}" for machine in (own, *others)), ""])


def resolv_conf(read: Mapping[str, str]) -> str:
    """Return a ``resolv.conf`` that works inside a network namespace, from this computer's (path to text).

    A resolver on the loopback address answers this computer alone; systemd-resolved keeps the real ones in a
    file of its own.
    """
    for path in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
        lines = [line for line in read.get(path, "").splitlines() if not line.startswith(("nameserver 127.", "#"))]
        if any(line.startswith("nameserver") for line in lines):
            return "\n".join([*lines, ""])
    return ""


def outer_resolv_conf() -> str:
    """Return the ``resolv.conf`` for machines of this computer."""
    paths = ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf")
    return resolv_conf({path: Path(path).read_text() for path in paths if Path(path).is_file()})


def new_machine_id() -> str:
    """Return a fresh machine id."""
    return secrets.token_hex(16)


def key_pair(comment_text: str) -> tuple[str, str]:
    """Return a new Ed25519 key for SSH: the private text and the public line."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {comment_text}"


def prepare(directory: Path, rootfs: Path, identity: Identity, source: PackageSource | None) -> None:
    """Make a machine's directories and write its identity over the common root file system."""
    for name in ("upper", "work", "root", "containerd", "kubelet"):
        (directory / name).mkdir(parents=True)
    overlay = Overlay(rootfs, directory / "upper")
    overlay.write("etc/machine-id", identity.machine_id + "\n", 0o444)
    overlay.write("etc/hostname", identity.name + "\n")
    overlay.write("etc/hosts", identity.hosts)
    overlay.write("etc/resolv.conf", identity.resolv_conf)
    overlay.write("etc/ssh/ssh_host_ed25519_key", identity.host_key, 0o600)
    overlay.write("etc/ssh/ssh_host_ed25519_key.pub", identity.host_key_public + "\n")
    # One host key, which known_hosts has; and a login that is not answered "the system is booting up".
    overlay.write("etc/ssh/sshd_config.d/20-host-key.conf", "HostKey /etc/ssh/ssh_host_ed25519_key\n")
    overlay.write(
        "etc/systemd/system/ssh.service.d/20-after-boot.conf", "[Unit]\nAfter=systemd-user-sessions.service\n"
    )
    overlay.write(f"home/{ADMIN}/.ssh/authorized_keys", identity.authorized_key + "\n", 0o600, owner=ADMIN)
    if source is None:
        debian = "etc/apt/sources.list.d/debian.sources"
        if (rootfs / debian).exists():
            overlay.write(debian, (rootfs / debian).read_text().replace("Enabled: no\n", "Enabled: yes\n"))
    else:
        keyring = "etc/apt/keyrings/clusterctl-lab.asc"
        overlay.write(keyring, source.key.read_bytes())
        line = f"deb [signed-by=/{keyring}] {source.address} ./\n"
        overlay.write("etc/apt/sources.list.d/clusterctl-lab.list", line)


class Overlay:
    """The upper layer of a machine that does not run yet; directories look as they do in the lower one."""

    def __init__(self, lower: Path, upper: Path) -> None:
        self.lower, self.upper = lower, upper

    def write(self, path: str, content: str | bytes, mode: int = 0o644, owner: str = "root") -> None:
        """Write a file, and the directories above it."""
        uid, gid = self._ids(owner)
        place = self.upper
        for part in Path(path).parent.parts:
            place = place / part
            if not place.exists():
                self._mkdir(place, uid, gid, 0o755 if owner == "root" else 0o700)
        file = self.upper / path
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        os.chown(file, uid, gid)

    def _mkdir(self, place: Path, uid: int, gid: int, mode: int) -> None:
        place.mkdir()
        below = self.lower / place.relative_to(self.upper)
        if below.is_dir():
            shutil.copystat(below, place)
            known = below.stat()
            os.chown(place, known.st_uid, known.st_gid)
        else:
            place.chmod(mode)
            os.chown(place, uid, gid)

    def _ids(self, name: str) -> tuple[int, int]:
        for line in (self.lower / "etc/passwd").read_text().splitlines():
            user, _, uid, gid, *_ = line.split(":")
            if user == name:
                return int(uid), int(gid)
        raise LookupError(f"the root file system {self.lower} has no user {name!r}")
