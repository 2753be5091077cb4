"""What a run does when its machines, its network or its operator fail it; for real, on one lab.

The tests build on each other, in their order: two runs, disturbed in four ways, make one cluster.
"""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from clusterctl.lab.lab import Lab
from tests.e2e.conftest import LabFactory
from tests.e2e.running import Running, start
from tests.e2e.test_bootstrap import clusterctl, counts

pytestmark = pytest.mark.e2e

MODULES = "/etc/modules-load.d/kubernetes.conf"
# The last file that kubeadm writes before it starts the kubelet: images are there, and nothing is done yet.
FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
SYSCTLS = "/etc/sysctl.d/99-kubernetes.conf"


def in_hand(lab: Lab, name: str) -> str:
    """The script of clusterctl that runs on a machine at this moment."""
    probe = "sudo sh -c 'flock -n -s /run/clusterctl/lock true || cat /run/clusterctl/running'"
    return subprocess.run(lab.ssh_command(name, probe), capture_output=True, text=True, check=False).stdout.strip()


def exists(lab: Lab, name: str, path: str) -> bool:
    """Whether a file is on a machine."""
    done = subprocess.run(lab.ssh_command(name, "sudo", "test", "-e", path), capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def machines(lab: LabFactory) -> Lab:
    """One control plane and two workers."""
    return lab(control_planes=1, workers=2, name="e2e-eng")


@pytest.fixture(scope="module")
def stopped(
    machines: Lab, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Running, subprocess.CompletedProcess[str]]:
    """The first run: a second operator comes while packages are installed, then the first one presses Ctrl-C."""
    run = start(machines, tmp_path_factory.mktemp("stopped"), "bootstrap", "--yes")
    run.until(lambda: in_hand(machines, "cp1") == "runtime/containerd")
    second = clusterctl(machines, "bootstrap", "--yes")
    run.process.send_signal(signal.SIGINT)
    run.end()
    return run, second


@pytest.mark.timeout(600)
def test_a_second_operator_is_told_who_holds_the_lock(
    stopped: tuple[Running, subprocess.CompletedProcess[str]],
) -> None:
    """Who, since when, with which command; nothing is done, exit code 3."""
    _, second = stopped

    assert second.returncode == 3, second.stdout + second.stderr
    assert "another operator works on this cluster: root@" in second.stderr
    assert "bootstrap --yes --log" in second.stderr
    assert "Next: wait until that run ends" in second.stderr


def test_ctrl_c_finishes_the_scripts_in_hand_and_starts_nothing_new(
    machines: Lab, stopped: tuple[Running, subprocess.CompletedProcess[str]]
) -> None:
    """What was begun ends or is left in a wait; the summary says what is left and what goes on; exit code 130."""
    run, _ = stopped
    names = [each["event"] for each in run.events]
    steps = {
        name: {(each["host"], each["step"]) for each in run.events if each["event"] == name}
        for name in ("step-started", "step-changed", "step-left")
    }

    assert run.process.returncode == 130, run.said
    assert steps["step-started"] == steps["step-changed"] | steps["step-left"]
    assert ("cp1", "runtime/containerd") in steps["step-changed"]
    assert "step-started" not in names[names.index("interrupted") :]
    assert "step-failed" not in names
    assert "interrupted: each host finishes the script in hand" in run.said
    not_done = run.said.partition("\nNot done\n")[2]
    assert {line.split()[0] for line in not_done.splitlines() if line.startswith("  ")} == {"cp1", "w1", "w2"}
    assert "go on with: clusterctl" in not_done
    assert "Traceback" not in run.said
    assert {in_hand(machines, each.name) for each in machines.machines} == {""}


@pytest.fixture(scope="module")
def cut(machines: Lab, stopped: object, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """The second run: cp1 is cut off in the middle of kubeadm init, then w2 loses its power in kubeadm join."""
    run = start(machines, tmp_path_factory.mktemp("cut"), "bootstrap", "--yes")
    run.until(lambda: exists(machines, "cp1", FLAGS))
    machines.partition("cp1")
    try:
        run.until(lambda: "the connection broke; connecting again" in run.said)
    finally:
        machines.heal("cp1")
    run.until(lambda: exists(machines, "w2", FLAGS))
    machines.kill("w2")
    machines.start("w2")
    run.end()
    return run


def broken(run: Running, script: str) -> list[str]:
    """On which hosts the connection broke while a script ran that was sent once, by the audit trail of a run."""
    path = Path(run.said.partition("What was sent, and what came back: ")[2].split("\n")[0])
    trail = [each for each in map(json.loads, path.read_text().splitlines()) if each.get("script") == script]
    hosts = [each["host"] for each in trail if each["event"] == "sent"]
    assert len(hosts) == len(set(hosts))
    return [each["host"] for each in trail if each["event"] == "failed" and "connection broke" in each["error"]["what"]]


@pytest.mark.timeout(900)
def test_a_step_whose_connection_was_cut_goes_on_and_its_outcome_is_found(cut: Running) -> None:
    """kubeadm init ended while nobody heard; it counts, is not repeated, and the run goes on with what follows."""
    assert broken(cut, "control-plane/init") == ["cp1"]
    assert cut.has("step-changed", host="cp1", step="control-plane/init"), cut.said
    assert cut.has("step-changed", host="w1", step="workers/join"), cut.said


def test_a_machine_that_lost_its_power_in_kubeadm_join_is_found_joined(cut: Running) -> None:
    """After the start its kubelet ends the join by itself; that is waited for, and nothing is sent again."""
    assert broken(cut, "workers/join") == ["w2"]
    assert cut.has("step-changed", host="w2", step="workers/join"), cut.said
    assert cut.process.returncode == 0, cut.said


def test_running_again_finds_nothing_to_do(machines: Lab, cut: Running) -> None:
    """After all that the cluster is as an undisturbed run leaves it."""
    assert counts(machines) == (0, 0, 0)
    assert "Nothing to do" in clusterctl(machines, "bootstrap", "--yes").stdout


@pytest.mark.timeout(300)
def test_a_saved_plan_is_done_as_it_was_read(machines: Lab, cut: Running, tmp_path: Path) -> None:
    """One file was removed by hand; the plan names it, and the run puts it back and does nothing else."""
    machines.run("w1", f"sudo rm {MODULES}")
    saved = clusterctl(machines, "plan", "bootstrap", "-o", str(tmp_path / "plan"))
    assert "1 change" in saved.stdout, saved.stdout + saved.stderr

    done = clusterctl(machines, "run", str(tmp_path / "plan"), "--yes")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 changed" in done.stdout
    assert machines.run("w1", f"cat {MODULES}").split() == ["overlay", "br_netfilter"]
    assert counts(machines) == (0, 0, 0)


@pytest.mark.timeout(300)
def test_a_saved_plan_refuses_machines_that_have_drifted(machines: Lab, cut: Running, tmp_path: Path) -> None:
    """Between plan and run somebody changed another host: the drift is named, and the planned change is not made."""
    machines.run("w1", f"sudo rm {MODULES}")
    clusterctl(machines, "plan", "bootstrap", "-o", str(tmp_path / "plan"))
    machines.run("w2", f"sudo rm {SYSCTLS}")

    done = clusterctl(machines, "run", str(tmp_path / "plan"), "--yes")

    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert "the machines differ from the plan of" in said
    assert f"w2: os/sysctl: it was satisfied (3 parameters are set), and is not any more: {SYSCTLS}" in said
    assert "Next: make a new plan" in said
    assert machines.run("w1", f"ls {MODULES} 2>/dev/null || echo none").strip() == "none"
