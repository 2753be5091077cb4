"""The lab itself, on real machines."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed, NotVerified, Refused
from clusterctl.lab import process
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.lab import Lab, find
from clusterctl.lab.making import up
from clusterctl.lab.network import run
from clusterctl.lab.progress import Report, Told, Working
from clusterctl.lab.prune import leftovers, remove
from clusterctl.lab.shape import Shape
from clusterctl.lab.state import Directory
from tests.e2e.conftest import LabFactory

pytestmark = pytest.mark.e2e

# They change by themselves, or count things.
VOLATILE = re.compile(
    r"kernel/(random|ns_last_pid|pty/nr|keys/.*used|printk)|fs/(.*-nr|.*-state|binfmt_misc|epoll|quota)"
    r"|net/(netfilter|ipv[46]/(neigh|conf))|vm/(stat_refresh|drop_caches|compact_memory)|sched_domain|dev/"
)


def sysctls() -> dict[str, str]:
    """Every setting of this computer that can be read and does not change by itself."""
    found = {}
    for path in Path("/proc/sys").rglob("*"):
        if path.is_file() and not VOLATILE.search(str(path.relative_to("/proc/sys"))):
            try:
                found[str(path)] = path.read_text()
            except (OSError, UnicodeDecodeError):
                continue
    return found


def processes() -> set[str]:
    """The command lines of the processes that a lab may have started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "nspawn" in words or "clusterctl.lab" in words or "/registry" in words:
            found.add(words)
    return found


def traces() -> dict[str, object]:
    """Everything on this computer that a lab touches."""
    saved = run(["iptables-save"]).splitlines()
    return {
        "processes": processes(),
        "namespaces": run(["ip", "netns", "list"]),
        "links": set(re.findall(r"^\d+: ([^:@]+)", run(["ip", "link"]), re.MULTILINE)),
        "routes": run(["ip", "-4", "route", "show", "table", "all"]),
        # Tables without a rule of anybody's are there after the first iptables command, whoever ran it.
        "rules": sorted(line for line in saved if line.startswith("-A")),
        "mounts": Path("/proc/self/mounts").read_text(),
        "cgroups": {
            str(path) for path in Path("/sys/fs/cgroup").rglob("*") if path.is_dir() and "clusterctl" in path.name
        },
        "sysctls": sysctls(),
        "swaps": Path("/proc/swaps").read_text(),
        "files": {str(path) for path in Path("/run").glob("*clusterctl*")},
    }


@pytest.fixture
def small() -> Iterator[Shape]:
    """A lab of one machine, with a name of its own; gone at the end whatever the test did with it."""
    shape = Shape(name="e2e-small", workers=0)
    yield shape
    if Directory(shape.name).load() is not None:
        find(shape.name).down()


def test_machines_answer_ssh_and_differ(lab: LabFactory) -> None:
    """Each has its own name and machine id, is fully booted, and reaches the others by name."""
    made = lab()

    names = [made.run(machine.name, "hostname").strip() for machine in made.machines]
    ids = {made.run(machine.name, "cat", "/etc/machine-id") for machine in made.machines}

    assert names == ["cp1", "w1", "w2"]
    assert len(ids) == 3
    assert made.run("w1", "systemctl is-system-running --wait").strip() == "running"
    assert "1 received" in made.run("w1", "ping -c1 -W2 cp1")
    assert made.run("w2", "sudo id -u").strip() == "0"


def test_a_second_up_changes_nothing(lab: LabFactory) -> None:
    """No machine is started, and none is rebooted."""
    before = lab().status()

    again = lab()

    assert again.started == ()
    assert again.status() == before


def test_a_reboot_brings_a_fresh_machine(lab: LabFactory) -> None:
    """What was on disk is there, what was only set in the kernel's network or in memory is gone."""
    made = lab()
    made.run("w1", "echo kept | sudo tee /etc/kept; sudo touch /run/gone; sudo ip link add left0 type bridge")
    made.run("w1", "sudo sysctl -w net.ipv4.ip_default_ttl=33")
    boots = {machine.name: machine.boots for machine in made.status()}

    made.reboot("w1")

    after = {machine.name: machine.boots for machine in made.status()}
    assert after == {**boots, "w1": boots["w1"] + 1}
    assert made.run("w1", "cat /etc/kept").strip() == "kept"
    assert made.run("w1", "ls /run/gone 2>/dev/null || echo none").strip() == "none"
    assert "left0" not in made.run("w1", "ip link")
    assert made.run("w1", "cat /proc/sys/net/ipv4/ip_default_ttl").strip() == "64"


def test_cgroups_are_writable_after_a_reboot(lab: LabFactory) -> None:
    """containerd and the kubelet make groups of their own, in every hierarchy; leftovers do not survive."""
    made = lab()
    group = "/sys/fs/cgroup/memory/left" if made.state.cgroup_version == 1 else "/sys/fs/cgroup/left"
    made.run("w2", f"sudo mkdir -p {group}/deeper")

    made.reboot("w2")

    assert made.run("w2", f"ls -d {group} 2>/dev/null || echo none").strip() == "none"
    made.run("w2", f"sudo mkdir {group} && sudo rmdir {group}")


def test_a_machine_that_powered_off_is_started_by_up(lab: LabFactory) -> None:
    """A power-off is no reboot: the machine stays off until somebody asks for it."""
    made = lab()
    with pytest.raises(CommandFailed):
        made.run("w2", "sudo systemctl poweroff; sleep 20")
    deadline = time.monotonic() + 30
    while "off" not in [machine.state for machine in made.status()]:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert lab().started == ("w2",)
    assert made.run("w2", "hostname").strip() == "w2"


def test_a_machine_whose_supervisor_was_killed_is_started_by_up(lab: LabFactory) -> None:
    """What the dead supervisor left is cleared away, and the machine boots from its disk."""
    made = lab()
    supervisor = process.recorded(made.directory.machine("w2") / "supervisor.json")
    assert supervisor is not None
    made.run("w2", "echo kept | sudo tee /etc/kept && sync")
    supervisor.send(signal.SIGKILL)
    supervisor.wait_gone(5)

    assert lab().started == ("w2",)
    assert made.run("w2", "cat /etc/kept").strip() == "kept"


def test_a_worker_is_added_to_a_running_lab(lab: LabFactory) -> None:
    """The others keep running, and know the new one by name; so do the inventory and the known hosts."""
    before = {machine.name: machine.boots for machine in lab().status()}

    grown = lab(workers=3)

    assert grown.started == ("w3",)
    assert {machine.name: machine.boots for machine in grown.status()} == {**before, "w3": 1}
    assert "1 received" in grown.run("cp1", "ping -c1 -W2 w3")
    assert "name: w3" in grown.inventory.read_text()


def test_a_lab_does_not_shrink(lab: LabFactory) -> None:
    """Fewer machines than there are: refused, and nothing changes."""
    made = lab(workers=3)

    with pytest.raises(Refused, match="takes none away"):
        lab(workers=1)

    assert len(made.status()) == 4


def test_packages_and_images_are_served(lab: LabFactory) -> None:
    """Machines of a lab built from modules reach its repository and its registry."""
    made = lab(workers=3)
    served = made.state.served
    if served is None:
        pytest.skip("this lab uses the official sources")
    gateway = made.state.network.gateway

    packages = made.run("w1", f"curl -fsS http://{gateway}:{served.packages}/core:/stable:/v1.36/deb/InRelease")
    catalog = made.run("w1", f"curl -fsS http://{gateway}:{served.registry}/v2/_catalog")

    assert "BEGIN PGP SIGNED MESSAGE" in packages
    assert "pause" in catalog
    made.run("w1", "sudo apt-get update -o APT::Update::Error-Mode=any")
    assert "containerd" in made.run("w1", f"apt-cache policy containerd | grep {gateway} -B2 || apt-cache policy")


def test_two_labs_live_side_by_side(lab: LabFactory, telling: Callable[[], Report]) -> None:
    """The second one has a network of its own; taking it down leaves the first one alone."""
    first = lab(workers=3)
    second = lab(name="e2e-two", workers=0)

    assert first.state.network.subnet != second.state.network.subnet
    assert second.run("cp1", "hostname").strip() == "cp1"

    second.down(telling())

    assert all(machine.ssh for machine in first.status())


@pytest.mark.alone
def test_down_leaves_no_trace(small: Shape, telling: Callable[[], Report]) -> None:
    """Processes, namespaces, links, rules, mounts, control groups, settings and swap are as before."""
    before = traces()

    made = up(small, telling())
    made.run(
        "cp1",
        "cd /var/lib/containerd && sudo dd if=/dev/zero of=swap bs=1M count=16 status=none && sudo chmod 600 swap"
        " && sudo mkswap -q swap && sudo swapon /var/lib/containerd/swap",
    )
    made.run("cp1", "sudo systemd-run --quiet sleep 1000")
    during = traces()
    made.down(telling())

    after = traces()
    assert [key for key in before if before[key] == during[key]] in ([], ["sysctls"], ["sysctls", "files"])
    for key in before:
        assert after[key] == before[key], key
    assert not made.directory.path.exists()


@pytest.mark.alone
def test_an_interrupted_up_is_found_and_cleared_away(small: Shape, telling: Callable[[], Report]) -> None:
    """Killed in the middle, it leaves machines; the next one says so, clears them away and starts anew."""
    before = traces()
    directory = Directory(small.name)
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from clusterctl.cli import main; main()",
            "lab",
            "up",
            "--name",
            small.name,
            "--workers=0",
        ]
    ) as child:
        record = directory.machine("cp1") / "supervisor.json"
        deadline = time.monotonic() + 60
        while process.read_record(record).get("state") != "running":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        child.kill()
    events: list[Working | Told] = []

    made = up(small, events.append)

    assert Told(f"lab {small.name!r} is left over from an interrupted `lab up`; clearing it away first") in events
    assert made.run("cp1", "hostname").strip() == "cp1"
    made.down(telling())
    assert traces() == before


@pytest.mark.alone
def test_a_failure_in_the_middle_is_cleared_away(
    small: Shape, monkeypatch: pytest.MonkeyPatch, telling: Callable[[], Report]
) -> None:
    """When a machine does not come up, `up` takes away what it started, and says what the console said."""
    before = traces()
    monkeypatch.setattr("clusterctl.lab.machine.command", lambda *_: ["sh", "-c", "echo no init found; exit 1"])

    with pytest.raises(NotVerified, match="cp1 does not answer SSH") as caught:
        up(small, telling())

    assert "no init found" in caught.value.details
    assert traces() == before


def test_the_lab_answers_while_it_is_locked(lab: LabFactory) -> None:
    """Status needs no lock; a second `up` at the same time is refused."""
    made: Lab = lab(workers=3)

    with made.directory.lock():
        assert made.status()
        with pytest.raises(Refused, match="another command is at work"):
            lab(workers=3)


def hears(made: Lab, name: str, other: str) -> bool:
    """Whether a machine reaches another one; asked from within, for one that is cut off answers no SSH."""
    reach = f"</dev/tcp/{made.machine(other).address}/22"
    inside = ["ip", "netns", "exec", f"clusterctl-{made.name}-{name}"]
    return subprocess.run([*inside, "timeout", "2", "bash", "-c", reach], check=False).returncode == 0


def state(made: Lab, name: str) -> str:
    """What a machine is doing."""
    return made.machine_status(made.machine(name)).state


def test_a_power_cut_says_good_bye_to_nobody(lab: LabFactory) -> None:
    """No service stops, connections stay open on the other side, and the disk is there at the next start."""
    made = lab(workers=3)
    made.run("w1", "echo kept | sudo tee /etc/kept-too")
    unit = "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStop=touch /etc/was-stopped\\n'"
    made.run("w1", f"{unit} | sudo tee /run/systemd/system/told.service && sudo systemctl start told")
    with subprocess.Popen(made.ssh_command("w1", "sleep 600"), stdin=subprocess.DEVNULL) as talk:
        time.sleep(1)
        began = time.monotonic()
        assert made.kill("w1") == ("w1",)
        took = time.monotonic() - began
        time.sleep(1)
        still_open = talk.poll() is None
        talk.kill()

    assert took < 5
    assert still_open
    assert state(made, "w1") == "off"
    assert made.kill("w1") == ()
    assert made.start("w1") == ("w1",)
    assert made.start("w1") == ()
    assert made.run("w1", "cat /etc/kept-too").strip() == "kept"
    assert made.run("w1", "ls /etc/was-stopped 2>/dev/null || echo no").strip() == "no"


def test_a_machine_that_is_stopped_stops_its_services(lab: LabFactory) -> None:
    """A clean power-off: stop jobs run; start brings the machine back with its disk."""
    made = lab(workers=3)
    unit = "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStop=touch /etc/was-stopped\\n'"
    for name in ("w1", "w2"):
        made.run(name, f"{unit} | sudo tee /run/systemd/system/told.service && sudo systemctl start told")

    assert made.stop("w1", "w2") == ("w1", "w2")

    assert {state(made, "w1"), state(made, "w2")} == {"off"}
    with pytest.raises(Refused, match="w1 does not run") as caught:
        made.reboot("w1")
    assert caught.value.resolution == f"clusterctl lab start --name {made.name} w1"
    assert made.start("w1", "w2") == ("w1", "w2")
    assert made.run("w1", "sudo rm -v /etc/was-stopped").startswith("removed")


def test_a_machine_cut_off_hears_nobody_and_keeps_its_link(lab: LabFactory) -> None:
    """Nobody reaches it, over a reboot as well; heal brings it back; the others never notice."""
    made = lab(workers=3)

    made.partition("w1")

    assert made.machine_status(made.machine("w1")).cut_off_from == ("everything",)
    assert not made.machine_status(made.machine("w1")).ssh
    assert not hears(made, "w1", "cp1")
    assert hears(made, "w2", "cp1")
    carrier = subprocess.run(
        ["ip", "-netns", f"clusterctl-{made.name}-w1", "link", "show", "eth0"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "LOWER_UP" in carrier.stdout
    made.kill("w1")
    told: list[Working | Told] = []
    made.start("w1", report=told.append)
    assert any(isinstance(event, Told) and "w1 is cut off" in event.text for event in told)
    assert not hears(made, "w1", "cp1")

    made.heal()

    deadline = time.monotonic() + 20
    while not made.machine_status(made.machine("w1")).ssh:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert hears(made, "w1", "cp1")


def test_two_machines_can_be_parted_from_each_other_alone(lab: LabFactory) -> None:
    """Both still answer here and hear the third one; healing one of them heals both."""
    made = lab(workers=3)

    made.partition("w1", "cp1", "w3")

    assert made.machine_status(made.machine("w1")).cut_off_from == ("cp1", "w3")
    assert made.machine_status(made.machine("cp1")).cut_off_from == ("w1",)
    assert not hears(made, "w1", "cp1")
    assert not hears(made, "cp1", "w1")
    assert hears(made, "w1", "w2")
    assert hears(made, "cp1", "w3")
    assert made.run("w1", "hostname").strip() == "w1"

    made.heal("w1")

    assert hears(made, "w1", "cp1")
    assert hears(made, "w3", "w1")


@pytest.mark.alone
def test_a_lab_goes_with_its_cuts(small: Shape, telling: Callable[[], Report]) -> None:
    """Down leaves no table in the packet filter, and no trace of a machine that had lost its power."""
    before, tables = traces(), run(["nft", "list", "tables"])
    made = up(small, telling())
    made.partition("cp1")
    assert "clusterctl-e2e-small" in run(["nft", "list", "tables"])
    made.kill("cp1")

    made.down(telling())

    assert run(["nft", "list", "tables"]).replace("table bridge clusterctl-e2e-small\n", "") == tables
    assert "clusterctl-e2e-small" not in run(["nft", "list", "tables"])
    assert traces() == before


def test_prune_clears_an_interrupted_lab_away(small: Shape, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its machines run, and nobody will ever say that it is complete; the cache of the others is not looked at."""
    made = up(small)
    made.directory.save(replace(made.state, complete=False))
    monkeypatch.setattr("clusterctl.lab.build.building.cache", lambda: Cache(tmp_path))

    found = [each for each in leftovers(lambda _: None) if each.what == f"lab {small.name}"]
    remove(found, lambda _: None)

    assert len(found) == 1
    assert not made.directory.path.exists()
    assert small.name not in str(traces())
