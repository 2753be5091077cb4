"""Labs: machines on this computer that behave like the ones clusterctl is for.

``up`` makes a lab or lets one grow, ``find`` opens one that exists, ``Lab`` is what tests and the command
line hold in their hands.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterctl.errors import CommandFailed, InputError, NotVerified, Refused
from clusterctl.lab import cuts, host, machine, network, process
from clusterctl.lab.build.push import Registry
from clusterctl.lab.clearing import clear_machine, take_away
from clusterctl.lab.cuts import EVERYTHING, Cuts
from clusterctl.lab.lock import exclusive
from clusterctl.lab.progress import Report, Told, Working
from clusterctl.lab.shape import Machine, check_name
from clusterctl.lab.state import Directory, State, names, this_boot

BOOT_SECONDS = 120.0
STOP_SECONDS = 120.0
EXPECTED_BOOT = 2.0


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
        report(Working(f"rebooting {name}", expected=2 * EXPECTED_BOOT))
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
        wait_for_ssh(self, [name], report)

    def kill(self, *machines: str) -> tuple[str, ...]:
        """Cut the power of machines, all at the same moment; return those that ran.

        Nothing is said to anybody: no service stops, no connection is closed. What a machine had written is
        on its disk, also where it had not been synced yet: the page cache is this computer's.
        """
        names = self._named(machines)
        supervisors = self._supervisors(names)
        cables = [machine.cable(self.state, name) for name in names]
        links = [cable.link for cable in cables if Path("/sys/class/net", cable.link).exists()]
        with host.failures_told(f"cut the power of {listed(names)}"):
            # First of all: a process that dies would still say good-bye to whom it is connected to.
            network.run(["ip", "-batch", "-"], "".join(f"link set {link} down\n" for link in links))
            process.stop_all(list(supervisors.values()), patience=20)
            for name in names:
                clear_machine(self.state, self.directory, name)
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
            boot(self.state, self.directory, idle)
        wait_for_ssh(self, idle, report)
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
            take_away(self.state, self.directory, report)


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


def boot(state: State, directory: Directory, names: Sequence[str]) -> None:
    """Start the machines called ``names``, which are off."""
    systemd = host.has_systemd()
    for name in names:
        clear_machine(state, directory, name)
        with host.failures_told(f"start {name}"):
            machine.start(state, directory.machine(name), name, systemd=systemd)


def wait_for_ssh(lab: Lab, waiting: Sequence[str], report: Report) -> None:
    """Wait until these machines answer SSH. Raises NotVerified, with its log, for one that does not."""
    deadline = time.monotonic() + BOOT_SECONDS
    left = [name for name in waiting if EVERYTHING not in lab._cuts().of(name)]
    for name in sorted(set(waiting) - set(left)):
        report(Told(f"{name} is cut off, and not waited for; clusterctl lab heal --name {lab.name} {name}"))
    while left:
        report(Working("waiting for SSH", f"{listed(left)} to come", EXPECTED_BOOT * len(waiting)))
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


def listed(words: Sequence[str]) -> str:
    """The first of many words, and how many there are besides."""
    return ", ".join(words) if len(words) <= 5 else f"{', '.join(words[:4])} and {len(words) - 4} more"
