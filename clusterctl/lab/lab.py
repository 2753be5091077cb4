"""Labs: machines on this computer that behave like the ones clusterctl is for.

``up`` makes a lab or lets one grow, ``find`` opens one that exists, ``Lab`` is what tests and the command
line hold in their hands.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusterctl.errors import CommandFailed, InputError, NotVerified, Refused
from clusterctl.lab import cgroups, cuts, host, inventory, machine, network, oci, process, sources
from clusterctl.lab.build.push import Registry
from clusterctl.lab.cuts import EVERYTHING, Cuts
from clusterctl.lab.lock import exclusive
from clusterctl.lab.progress import Report, Told, Working
from clusterctl.lab.shape import (
    DEFAULT_KUBERNETES,
    VIRTUAL_IP,
    Machine,
    Shape,
    check_name,
    choose_network,
    grown,
    machines,
)
from clusterctl.lab.state import Directory, Served, State, names, root_directory, this_boot

BOOT_SECONDS = 120.0
STOP_SECONDS = 120.0
_EXPECTED_BOOT = 2.0
_FIRST_PACKAGES_PORT = 8080
_FIRST_REGISTRY_PORT = 5000
_PORTS = 20


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What one machine is doing. ``state``: running, off, starting, or gone when nobody looks after it.

    ``cut_off_from`` names the machines it does not hear, or says ``everything``.
    """

    name: str
    role: str
    address: str
    state: str
    ssh: bool
    boots: int
    cut_off_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that exists. ``started`` names the machines that the call which returned it has started."""

    state: State
    directory: Directory
    started: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.state.name

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Its machines, control planes first."""
        return self.state.machines

    @property
    def inventory(self) -> Path:
        """The file that clusterctl's other commands take with ``-i``."""
        return self.directory.inventory

    @property
    def registry(self) -> Registry:
        """The lab's own image registry. Raises Refused when its machines use the official ones."""
        if self.state.served is None:
            raise Refused(
                f"lab {self.name!r} has no registry: its machines use the official ones",
                resolution=f"clusterctl lab down --name {self.name}; then lab up --sources modules",
            )
        return Registry(self.state.network.gateway, self.state.served.registry)

    def machine(self, name: str) -> Machine:
        """Return the machine of this name. Raises InputError, with the names that exist."""
        for candidate in self.machines:
            if candidate.name == name:
                return candidate
        raise InputError(
            f"lab {self.name!r} has no machine {name!r}",
            resolution=f"use one of: {', '.join(candidate.name for candidate in self.machines)}",
        )

    def ssh_command(self, name: str, *words: str) -> list[str]:
        """Return the command that logs in to a machine, or runs ``words`` there."""
        options = [
            f"UserKnownHostsFile={self.directory.known_hosts}",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
        ]
        flags = [flag for option in options for flag in ("-o", option)]
        target = f"{machine.ADMIN}@{self.machine(name).address}"
        return ["ssh", "-F", "none", "-i", str(self.directory.key), *flags, target, *words]

    def run(self, name: str, *words: str) -> str:
        """Run a command on a machine and return what it printed. Raises CommandFailed."""
        done = subprocess.run(self.ssh_command(name, *words), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(
                f"{name}: {' '.join(words)} exited with code {done.returncode}",
                details=done.stderr.strip(),
                resolution=f"clusterctl lab logs --name {self.name} {name}",
            )
        return done.stdout

    def status(self) -> tuple[MachineStatus, ...]:
        """Return what each machine is doing."""
        return tuple(self.machine_status(each) for each in self.machines)

    def machine_status(self, each: Machine) -> MachineStatus:
        """Return what one machine is doing."""
        directory = self.directory.machine(each.name)
        record = process.read_record(directory / "supervisor.json")
        state = "gone"
        if self.state.boot == this_boot():
            if process.recorded(directory / "supervisor.json"):
                state = record["state"]
            elif record.get("state") == "off":
                state = "off"
        boots = record.get("boots", 0)
        cut_off_from = self._cuts().of(each.name)
        ssh = EVERYTHING not in cut_off_from and ssh_answers(each.address)
        return MachineStatus(each.name, each.role, each.address, state, ssh, boots, cut_off_from)

    def logs(self, name: str) -> str:
        """Return what the supervisor and the console of a machine said."""
        self.machine(name)
        directory = self.directory.machine(name)
        files = [directory / "supervisor.log", directory / "console.log"]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def reboot(self, name: str, report: Report = lambda _: None) -> None:
        """Reboot a machine from inside and wait until it answers SSH again."""
        record = self.directory.machine(self.machine(name).name) / "supervisor.json"
        before = process.read_record(record).get("boots", 0)
        if not process.recorded(record):
            raise Refused(f"{name} does not run", resolution=f"clusterctl lab start --name {self.name} {name}")
        if EVERYTHING in self._cuts().of(name):
            raise Refused(f"{name} is cut off", resolution=f"clusterctl lab heal --name {self.name} {name}")
        report(Working(f"rebooting {name}", expected=2 * _EXPECTED_BOOT))
        # The connection may break before the answer is here; what counts is the boot that follows.
        subprocess.run(self.ssh_command(name, "sudo", "systemctl", "reboot"), capture_output=True, check=False)
        deadline = time.monotonic() + BOOT_SECONDS
        while process.read_record(record).get("boots", 0) == before:
            if time.monotonic() > deadline:
                raise NotVerified(
                    f"{name} did not reboot within {BOOT_SECONDS:.0f} s",
                    resolution=f"clusterctl lab logs --name {self.name} {name}",
                )
            time.sleep(0.05)
        _wait_for_ssh(self, [name], report)

    def kill(self, *machines: str) -> tuple[str, ...]:
        """Cut the power of machines, all at the same moment; return those that ran.

        Nothing is said to anybody: no service stops, no connection is closed. What a machine had written is
        on its disk, also where it had not been synced yet: the page cache is this computer's.
        """
        names = self._named(machines)
        supervisors = self._supervisors(names)
        cables = [machine.cable(self.state, name) for name in names]
        links = [cable.link for cable in cables if Path("/sys/class/net", cable.link).exists()]
        with host.failures_told(f"cut the power of {_listed(names)}"):
            # First of all: a process that dies would still say good-bye to whom it is connected to.
            network.run(["ip", "-batch", "-"], "".join(f"link set {link} down\n" for link in links))
            process.stop_all(list(supervisors.values()), patience=20)
            for name in names:
                _clear_machine(self.state, self.directory, name)
        return tuple(supervisors)

    def stop(self, *machines: str, report: Report = lambda _: None) -> tuple[str, ...]:
        """Shut machines down, as their power buttons would, and wait until they are off; return those that ran."""
        supervisors = self._supervisors(self._named(machines))
        for name in supervisors:
            record = process.read_record(self.directory.machine(name) / "supervisor.json")
            if record.get("machine"):
                process.Process(**record["machine"]).send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for name, supervisor in supervisors.items():
            report(Working(f"shutting down {name}"))
            if not supervisor.wait_gone(deadline - time.monotonic()):
                raise NotVerified(
                    f"{name} did not shut down within {STOP_SECONDS:.0f} s",
                    details="\n".join(self.logs(name).splitlines()[-12:]),
                    resolution=f"clusterctl lab kill --name {self.name} {name} cuts its power",
                )
        return tuple(supervisors)

    def start(self, *machines: str, report: Report = lambda _: None) -> tuple[str, ...]:
        """Start machines that are off, and wait until they answer SSH; return those that were off."""
        names = self._named(machines)
        with self.directory.lock():
            if self.state.is_leftover:
                raise Refused(f"lab {self.name!r} is left over", resolution=f"clusterctl lab up --name {self.name}")
            idle = [name for name in names if name not in self._supervisors(names)]
            _boot(self.state, self.directory, idle)
        _wait_for_ssh(self, idle, report)
        return tuple(idle)

    def partition(self, name: str, *others: str) -> None:
        """Cut a machine off from others, or, when none is named, from everything, this computer included.

        Packets are lost without a word, in both directions; links stay up. It lasts until ``heal``, also over
        reboots.
        """
        if name in self._named((name, *others))[1:]:
            raise InputError(f"{name} cannot be cut off from itself", resolution="name another machine")
        self._change_cuts(lambda known: known.add(name, others))

    def heal(self, *machines: str) -> None:
        """Take back every cut of these machines, or of all."""
        names = self._named(machines) or [each.name for each in self.machines]
        self._change_cuts(lambda known: known.heal(names))

    def _named(self, machines: Sequence[str]) -> list[str]:
        return [self.machine(name).name for name in machines]

    def _supervisors(self, names: Sequence[str]) -> dict[str, process.Process]:
        """The living supervisors of machines."""
        if self.state.boot != this_boot():
            return {}
        found = {name: process.recorded(self.directory.machine(name) / "supervisor.json") for name in names}
        return {name: supervisor for name, supervisor in found.items() if supervisor is not None}

    def _cuts(self) -> Cuts:
        return Cuts.from_json(process.read_record(self.directory.cuts))

    def _change_cuts(self, change: Callable[[Cuts], Cuts]) -> None:
        with exclusive(self.directory.path / ".cuts.lock", wait=True), host.failures_told("change the lab's network"):
            before = self._cuts()
            after = change(before)
            if after != before:
                # On record first, so that `down` knows what there may be.
                process.write_record(self.directory.cuts, after.to_json())
                cuts.apply(self.name, self.state.network, after)

    def down(self, report: Report = lambda _: None) -> None:
        """Take the lab away without a trace."""
        with self.directory.lock():
            _take_away(self.state, self.directory, report)


def find(name: str = "lab") -> Lab:
    """Open a lab. Raises InputError, with the names that exist, when there is none."""
    check_name(name)
    directory = Directory(name)
    state = directory.load()
    if state is None:
        known = names()
        advice = f"use one of: {', '.join(known)}" if known else "clusterctl lab up"
        if os.geteuid() != 0:
            advice = "labs belong to root: run the same command with sudo"
        raise InputError(f"you have no lab {name!r}", resolution=advice)
    return Lab(state, directory)


def find_all() -> tuple[Lab, ...]:
    """Open all labs of this user."""
    return tuple(find(name) for name in names())


def up(shape: Shape, report: Report = lambda _: None, *, images: Path | None = None) -> Lab:
    """Make a lab of this shape, or let a running one grow to it; wait until its machines answer SSH.

    The image archives in the folder ``images`` are pushed into its registry.
    """
    found = oci.archives(images) if images else ()
    made = _up(shape, report)
    if found:
        oci.push_all(found, made.registry, report)
    return made


def _up(shape: Shape, report: Report) -> Lab:
    shape.check()
    host.check_suitable()
    directory = Directory(shape.name)
    with directory.lock():
        host.check_file_system(root_directory())
        present = directory.load()
        if present is not None and present.is_leftover:
            why = "this computer's last reboot" if present.boot != this_boot() else "an interrupted `lab up`"
            report(Told(f"lab {shape.name!r} is left over from {why}; clearing it away first"))
            _take_away(present, directory, report)
            present = None
        if present is not None:
            return _grow(present, shape, directory, report)
        return _make(shape, directory, report)


def _make(shape: Shape, directory: Directory, report: Report) -> Lab:
    kubernetes = shape.kubernetes or DEFAULT_KUBERNETES
    control_planes = 1 if shape.control_planes is None else shape.control_planes
    workers = 2 if shape.workers is None else shape.workers
    _check_resources(control_planes, workers, directory)
    artifacts = None
    if sources.decide(shape.sources, kubernetes, report) == "modules":
        sources.build_modules((kubernetes,), report)
        artifacts = sources.from_modules((kubernetes,), report)
    rootfs = artifacts.rootfs if artifacts else sources.rootfs(report)
    with host.network_lock(), host.failures_told("make the lab's network"):
        host.check_not_used(directory.path)
        chosen = choose_network(shape.subnet, *network.observe())
        state = State(
            name=shape.name,
            kubernetes=kubernetes,
            network=chosen,
            rootfs=rootfs,
            boot=this_boot(),
            cgroup_version=cgroups.version(),
            machines=machines(chosen, control_planes, workers),
            virtual_ip=chosen.address(VIRTUAL_IP) if control_planes > 1 else "",
        )
        directory.save(state)
        try:
            host.acquire_settings(directory.path)
            network.connect(state.name, chosen)
            if artifacts is not None:
                state = replace(
                    state,
                    served=Served(
                        packages=_free_port(chosen.gateway, _FIRST_PACKAGES_PORT),
                        registry=_free_port(chosen.gateway, _FIRST_REGISTRY_PORT),
                        key_fingerprint=artifacts.key_fingerprint,
                    ),
                )
                directory.save(state)
        except BaseException:
            _take_away(state, directory, report)
            raise
    try:
        if artifacts is not None:
            directory.repository_key.write_bytes(artifacts.repository_key.read_bytes())
            _serve(state, directory, artifacts.repository, artifacts.registry_command)
        lab = _start(state, directory, [each.name for each in state.machines], report)
    except BaseException:
        report(Told("that failed; clearing away what was started"))
        _take_away(state, directory, report)
        raise
    directory.save(state.started())
    return replace(lab, state=state.started())


def _grow(present: State, shape: Shape, directory: Directory, report: Report) -> Lab:
    for asked, has, what in (
        (shape.kubernetes, present.kubernetes, "Kubernetes"),
        (None if shape.sources == "auto" else shape.sources, present.sources, "the sources"),
        (shape.subnet, present.network.subnet, "the subnet"),
    ):
        if asked is not None and asked != has:
            raise Refused(
                f"lab {present.name!r} runs already, with {what} {has}, not {asked}",
                resolution=f"clusterctl lab down --name {present.name}, or --name for a second lab",
            )
    state = replace(present, machines=grown(shape, present.network, present.machines))
    lab = Lab(state, directory)
    idle = [status.name for status in lab.status() if status.state in ("gone", "off")]
    if not idle:
        return lab
    new = [each for each in state.machines if each not in present.machines]
    _check_resources(
        sum(each.role == "control-plane" for each in new), sum(each.role == "worker" for each in new), directory
    )
    directory.save(state)
    started = _start(state, directory, idle, report)
    _introduce(lab, new)
    return started


def _check_resources(control_planes: int, workers: int, directory: Directory) -> None:
    where = directory.labs
    host.check_resources(host.needed(control_planes, workers), host.free_resources(where), where)


def _free_port(address: str, first: int) -> int:
    for port in range(first, first + _PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen()
            except OSError:
                continue
            return port
    raise Refused(
        f"every port from {first} to {first + _PORTS - 1} is taken on this computer",
        resolution=f"see by what: ss -ltnp 'sport >= {first} and sport < {first + _PORTS}'",
    )


def _serve(state: State, directory: Directory, repository: Path, registry: Callable[[str, int], Sequence[str]]) -> None:
    if state.served is None:
        return
    address, log = state.network.gateway, directory.path / "servers.log"
    packages = [str(directory.packages), address, str(state.served.packages), str(repository)]
    process.detach("clusterctl.lab.serve", packages, log)
    command = registry(address, state.served.registry)
    process.detach("clusterctl.lab.process", [str(directory.registry), *command], log)


def _start(state: State, directory: Directory, idle: Sequence[str], report: Report) -> Lab:
    """Start machines, all at once, and wait until they answer."""
    report(Working(f"starting {_listed(idle)}", expected=_EXPECTED_BOOT * len(idle)))
    if not directory.key.exists():
        _write_user_key(directory)
    source = None
    if state.served is not None:
        address = f"http://{state.network.gateway}:{state.served.packages}/containerd/"
        source = machine.PackageSource(address, directory.repository_key)
    for name in idle:
        place = directory.machine(name)
        if not place.exists():
            machine.prepare(place, state.rootfs, _identity(state, directory, name), source)
        _boot(state, directory, [name])
    _write_known_hosts(state, directory)
    directory.inventory.write_text(inventory.text(state, directory))
    lab = Lab(state, directory, tuple(idle))
    _wait_for_ssh(lab, idle, report)
    return lab


def _boot(state: State, directory: Directory, names: Sequence[str]) -> None:
    systemd = host.has_systemd()
    for name in names:
        _clear_machine(state, directory, name)
        with host.failures_told(f"start {name}"):
            machine.start(state, directory.machine(name), name, systemd=systemd)


def _identity(state: State, directory: Directory, name: str) -> machine.Identity:
    private, public = machine.key_pair(name)
    return machine.Identity(
        name=name,
        address=next(each.address for each in state.machines if each.name == name),
        machine_id=machine.new_machine_id(),
        host_key=private,
        host_key_public=public,
        authorized_key=directory.key.with_suffix(".pub").read_text().strip(),
        hosts=machine.hosts_file(state, name),
        resolv_conf=machine.outer_resolv_conf(),
    )


def _write_user_key(directory: Directory) -> None:
    private, public = machine.key_pair(f"clusterctl-lab-{directory.name}")
    directory.key.touch(mode=0o600)
    directory.key.write_text(private)
    directory.key.with_suffix(".pub").write_text(public + "\n")


def _write_known_hosts(state: State, directory: Directory) -> None:
    lines = []
    for each in state.machines:
        public = directory.machine(each.name) / "upper/etc/ssh/ssh_host_ed25519_key.pub"
        kind, key, *_ = public.read_text().split()
        lines.append(f"{each.address} {kind} {key}\n")
    directory.known_hosts.write_text("".join(lines))


def _introduce(lab: Lab, new: Iterable[Machine]) -> None:
    """Tell the machines that ran before about the new ones, in their ``/etc/hosts``."""
    lines = "".join(f"{each.address} {each.name}\n" for each in new)
    if lines:
        for each in lab.machines:
            if each not in new:
                lab.run(each.name, f"printf %s '{lines}' | sudo tee -a /etc/hosts >/dev/null")


def _wait_for_ssh(lab: Lab, waiting: Sequence[str], report: Report) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    left = [name for name in waiting if EVERYTHING not in lab._cuts().of(name)]
    for name in sorted(set(waiting) - set(left)):
        report(Told(f"{name} is cut off, and not waited for; clusterctl lab heal --name {lab.name} {name}"))
    while left:
        report(Working("waiting for SSH", f"{_listed(left)} to come", _EXPECTED_BOOT * len(waiting)))
        for name in list(left):
            if ssh_answers(lab.machine(name).address):
                left.remove(name)
            elif lab.machine_status(lab.machine(name)).state == "off" or time.monotonic() > deadline:
                raise NotVerified(
                    f"{name} does not answer SSH",
                    details="\n".join(lab.logs(name).splitlines()[-12:]),
                    resolution=f"clusterctl lab logs --name {lab.name} {name}",
                )
        time.sleep(0.05)


def ssh_answers(address: str) -> bool:
    """Whether an SSH server says its name at this address."""
    try:
        with socket.create_connection((address, 22), timeout=0.5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


# --- The end of a lab ----------------------------------------------------------------------------------------


def _take_away(state: State, directory: Directory, report: Report) -> None:
    report(Working(f"taking down lab {state.name!r}", expected=2))
    off = host.swap_off(directory.path)
    if off:
        report(Told(f"switched off swap files of the lab: {', '.join(path.name for path in off)}"))
    # Process ids of another boot mean nothing.
    if state.boot == this_boot():
        _stop_all(state, directory)
    with host.failures_told("clear the lab away", "clusterctl lab down"):
        for each in state.machines:
            _clear_machine(state, directory, each.name)
        with host.network_lock():
            cuts.remove(state.name, directory.cuts)
            network.disconnect(state.name, state.network)
            host.release_settings(directory.path)
    report(Working("deleting the machines' disks", expected=2 * len(state.machines)))
    directory.remove()


def _stop_all(state: State, directory: Directory) -> None:
    supervisors = [process.recorded(directory.machine(each.name) / "supervisor.json") for each in state.machines]
    running = [supervisor for supervisor in supervisors if supervisor is not None]
    process.stop_all(running, patience=20)
    servers = [process.recorded(directory.packages), process.recorded(directory.registry)]
    process.stop_all([server for server in servers if server is not None], patience=2)


def _clear_machine(state: State, directory: Directory, name: str) -> None:
    """Clear away what the supervisor of a machine left, when it was killed itself."""
    record: dict[str, Any] = process.read_record(directory.machine(name) / "supervisor.json")
    if state.boot == this_boot():
        if record.get("machine"):
            process.stop_all([process.Process(**record["machine"])], patience=0)
        cgroups.clear([Path(group) for group in record.get("groups", [])])
    network.unplug(machine.cable(state, name).as_dict())


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) if len(words) <= 5 else f"{', '.join(words[:4])} and {len(words) - 4} more"
