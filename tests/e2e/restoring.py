"""What clusterctl keeps before an upgrade, and the way back from it as its RESTORE.md says."""

import subprocess
import time
from pathlib import Path

from clusterctl.errors import CommandFailed
from clusterctl.lab.lab import Lab
from tests.e2e.test_ha import KUBECTL

# A playbook that saves and does nothing else.
SAVE = "plays: [{name: Save, hosts: first-control-plane, run: [upgrade/snapshot]}]\n"


def backup(state: Path) -> Path:
    """The one folder that was kept below the user's state directory."""
    (folder,) = (state / "clusterctl" / "backups").glob("*/*")
    return folder


def onto(lab: Lab, name: str, file: Path, command: str) -> str:
    """Send a file through standard input into a command on a machine."""
    with file.open("rb") as content:
        done = subprocess.run(lab.ssh_command(name, command), stdin=content, capture_output=True, check=True)
    return done.stdout.decode()


def restore(lab: Lab, folder: Path) -> None:
    """Paste each block of RESTORE.md where it belongs, until the control planes are started; then wait for the API."""
    blocks: list[str] = [""]
    for line in (folder / "RESTORE.md").read_text().splitlines():
        if line.startswith("       "):
            blocks[-1] += f"{line.strip()}\n"
        elif blocks[-1]:
            blocks.append("")
    planes = [machine.name for machine in lab.machines if machine.role == "control-plane"]
    copy, stop, *rest = blocks
    own, start = rest[: len(planes)], rest[len(planes)]
    assert copy.count("scp etcd.db ") == len(planes)

    for name in planes:
        onto(lab, name, folder / "etcd.db", "cat >etcd.db")  # What scp does.
    for name in planes:
        lab.run(name, f"set -ex\n{stop}")
    for name, block in zip(planes, own, strict=True):
        assert f"--name {name} " in block
        lab.run(name, f"set -ex\n{block}")
    for name in planes:
        lab.run(name, f"set -ex\n{start}")
    for name in planes:
        _wait_for_api(lab, name)


def _wait_for_api(lab: Lab, name: str) -> None:
    """Until the API server of this control plane answers from etcd."""
    deadline = time.monotonic() + 240
    while True:
        try:
            lab.run(name, f"{KUBECTL} --server https://{lab.machine(name).address}:6443 get namespaces")
            return
        except CommandFailed:
            assert time.monotonic() < deadline
            time.sleep(1)
