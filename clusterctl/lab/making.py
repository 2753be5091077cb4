"""Make a lab, or let one grow, and start what is off."""

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from clusterctl.errors import Refused
from clusterctl.lab import cgroups, host, inventory, machine, network, oci, process, sources
from clusterctl.lab.clearing import take_away
from clusterctl.lab.lab import EXPECTED_BOOT, Lab, boot, listed, wait_for_ssh
from clusterctl.lab.progress import Report, Told, Working
from clusterctl.lab.shape import DEFAULT_KUBERNETES, VIRTUAL_IP, Machine, Shape, choose_network, grown, machines
from clusterctl.lab.state import Directory, Served, State, root_directory, this_boot

_FIRST_PACKAGES_PORT = 8080
_FIRST_REGISTRY_PORT = 5000
_PORTS = 20


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
            take_away(present, directory, report)
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
            take_away(state, directory, report)
            raise
    try:
        if artifacts is not None:
            directory.repository_key.write_bytes(artifacts.repository_key.read_bytes())
            _serve(state, directory, artifacts.repository, artifacts.registry_command)
        lab = start(state, directory, [each.name for each in state.machines], report)
    except BaseException:
        report(Told("that failed; clearing away what was started"))
        take_away(state, directory, report)
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
    started = start(state, directory, idle, report)
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


def start(state: State, directory: Directory, idle: Sequence[str], report: Report) -> Lab:
    """Start machines, all at once, and wait until they answer."""
    report(Working(f"starting {listed(idle)}", expected=EXPECTED_BOOT * len(idle)))
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
        boot(state, directory, [name])
    _write_known_hosts(state, directory)
    directory.inventory.write_text(inventory.text(state, directory))
    lab = Lab(state, directory, tuple(idle))
    wait_for_ssh(lab, idle, report)
    return lab


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
