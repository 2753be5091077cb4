"""The library, its examples and ad-hoc commands, on machines without a cluster."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import clusterctl
from clusterctl.engine.events import Event, StepChanged
from clusterctl.errors import HostKeyError
from clusterctl.lab.lab import Lab
from tests.cli.test_exec import as_in_the_foreground
from tests.e2e.conftest import LabFactory
from tests.e2e.test_bootstrap import clusterctl as called
from tests.e2e.test_bootstrap import command

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FAB = Path(sys.executable).with_name("fab")


@pytest.fixture(scope="module")
def machines(lab: LabFactory) -> Lab:
    """One control plane and two workers, as they come."""
    return lab(control_planes=1, workers=2, name="e2e-lib")


@pytest.mark.timeout(300)
def test_the_example_plans_and_runs(machines: Lab) -> None:
    """Its two steps on three machines; run again, it finds nothing to do."""
    example = [sys.executable, str(EXAMPLES / "prepare.py"), str(machines.inventory)]

    first = subprocess.run(example, capture_output=True, text=True, check=True).stdout.splitlines()
    second = subprocess.run(example, capture_output=True, text=True, check=True).stdout.splitlines()

    assert first[0].endswith("changes on 3 hosts")
    assert any(line.startswith("w1: os/sysctl: ") for line in first)
    assert first[-1] == "0 changes left"
    assert second == ["0 changes on 3 hosts", "0 changes left"]
    assert "clusterctl" not in machines.run("w1", "sudo cat /etc/sysctl.d/99-kubernetes.conf")


def test_the_same_in_this_process(machines: Lab) -> None:
    """Events come as values; what another program undid is done again."""
    machines.run("w2", "sudo rm /etc/modules-load.d/kubernetes.conf")
    events: list[Event] = []

    with clusterctl.connect(machines.inventory) as session:
        assert clusterctl.plan(session, EXAMPLES / "two-steps.yaml").changes == 1
        assert clusterctl.run(session, EXAMPLES / "two-steps.yaml", subscriber=events.append)

    assert [(event.host, event.step) for event in events if isinstance(event, StepChanged)] == [("w2", "os/modules")]


def test_the_fabfile_works(machines: Lab, tmp_path: Path) -> None:
    """By Fabric's own program: a command on every worker, and a file of each."""
    fab = [str(FAB), "--search-root", str(EXAMPLES)]
    words = ["--inventory", str(machines.inventory), "--role", "worker"]

    told = subprocess.run([*fab, "uptime", *words], capture_output=True, text=True, check=True, cwd=tmp_path)
    subprocess.run([*fab, "fetch", "/etc/hostname", *words], capture_output=True, check=True, cwd=tmp_path)

    assert sorted(line.partition(":")[0] for line in told.stdout.splitlines()) == ["w1", "w2"]
    assert {path.parent.name: path.read_text() for path in tmp_path.glob("*/hostname")} == {"w1": "w1\n", "w2": "w2\n"}


def test_a_group_refuses_a_host_that_is_not_known(machines: Lab, tmp_path: Path) -> None:
    """Fabric itself would take any host key."""
    inventory = clusterctl.load(machines.inventory)
    ssh = inventory.ssh.model_copy(update={"known_hosts": tmp_path / "nobody"})

    with (
        clusterctl.connections(inventory.model_copy(update={"ssh": ssh}), "w1") as group,
        pytest.raises(HostKeyError, match="is not known"),
    ):
        group[0].run("true")


def test_a_command_on_all_machines(machines: Lab) -> None:
    """As root and as who logs in; each line has its host."""
    as_root = called(machines, "exec", "--read-only", "--", "id -un; hostname")
    as_user = called(machines, "exec", "worker", "--read-only", "--as-user", "--json", "--", "id", "-un")

    assert sorted(as_root.stdout.splitlines()) == sorted(
        f"{host:<3} | {said}" for host in ("cp1", "w1", "w2") for said in ("root", host)
    )
    assert {each["host"]: each["stdout"] for each in json.loads(as_user.stdout)} == {
        "w1": f"{clusterctl.load(machines.inventory).ssh.user}\n",
        "w2": f"{clusterctl.load(machines.inventory).ssh.user}\n",
    }


def test_a_machine_whose_power_is_cut_in_the_middle(machines: Lab, tmp_path: Path) -> None:
    """It is named, its outcome unknown; the others go on to their end."""
    words = ("exec", "--read-only", "--json", "--", "touch /run/begun; sleep 8; echo done")
    process = subprocess.Popen(command(machines, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _until_begun(machines, "w1")
    machines.kill("w1")
    try:
        out, err = process.communicate(timeout=120)
    finally:
        machines.start("w1")

    told = {each["host"]: each for each in json.loads(out)}
    assert process.returncode == 5
    assert (told["cp1"]["stdout"], told["w2"]["stdout"]) == ("done\n", "done\n")
    assert told["w1"]["status"] is None
    assert "w1: the connection broke" in err


def test_ctrl_c_on_many_machines(machines: Lab) -> None:
    """It ends at once, and says that what was begun may go on."""
    words = ("exec", "worker", "--read-only", "--", "touch /run/begun; sleep 60")
    machines.run("w2", "sudo rm -f /run/begun")
    process = subprocess.Popen(
        command(machines, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_the_foreground,
    )
    _until_begun(machines, "w2")
    process.send_signal(signal.SIGINT)

    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "may go on there" in err


def _until_begun(lab: Lab, host: str) -> None:
    """Wait until the command has begun on a machine."""
    for _ in range(100):
        if "begun" in lab.run(host, "ls /run"):
            return
        time.sleep(0.2)
    raise AssertionError(f"nothing began on {host}")
