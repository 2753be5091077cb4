"""Take a lab away, from its record alone: whatever is left of it."""

from pathlib import Path
from typing import Any

from clusterctl.lab import cgroups, cuts, host, machine, network, process
from clusterctl.lab.progress import Report, Told, Working
from clusterctl.lab.state import Directory, State, this_boot


def take_away(state: State, directory: Directory, report: Report) -> None:
    """End all processes of a lab, and remove whatever it may have made."""
    report(Working(f"taking down lab {state.name!r}", expected=2))
    off = host.swap_off(directory.path)
    if off:
        report(Told(f"switched off swap files of the lab: {', '.join(path.name for path in off)}"))
    # Process ids of another boot mean nothing.
    if state.boot == this_boot():
        stop_all(state, directory)
    with host.failures_told("clear the lab away", "clusterctl lab down"):
        for each in state.machines:
            clear_machine(state, directory, each.name)
        with host.network_lock():
            cuts.remove(state.name, directory.cuts)
            network.disconnect(state.name, state.network)
            host.release_settings(directory.path)
    report(Working("deleting the machines' disks", expected=2 * len(state.machines)))
    directory.remove()


def stop_all(state: State, directory: Directory) -> None:
    """End all processes of a lab."""
    supervisors = [process.recorded(directory.machine(each.name) / "supervisor.json") for each in state.machines]
    running = [supervisor for supervisor in supervisors if supervisor is not None]
    process.stop_all(running, patience=20)
    servers = [process.recorded(directory.packages), process.recorded(directory.registry)]
    process.stop_all([server for server in servers if server is not None], patience=2)


def clear_machine(state: State, directory: Directory, name: str) -> None:
    """Clear away what the supervisor of a machine left, when it was killed itself."""
    record: dict[str, Any] = process.read_record(directory.machine(name) / "supervisor.json")
    if state.boot == this_boot():
        if record.get("machine"):
            process.stop_all([process.Process(**record["machine"])], patience=0)
        cgroups.clear([Path(group) for group in record.get("groups", [])])
    network.unplug(machine.cable(state, name).as_dict())
