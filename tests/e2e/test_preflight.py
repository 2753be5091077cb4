"""What has to be settled before a bootstrap, provoked on real machines and shown by as few plans as possible.

The tests of this file build on each other, in their order: the machines are broken once and mended once.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterctl.lab.lab import Lab
from clusterctl.lab.machine import identifier
from tests.e2e.conftest import LabFactory

pytestmark = pytest.mark.e2e

PUBLIC = "203.0.113.5"
PLAN = ("plan", "bootstrap", "--json")

# What a machine suffers, as root on it, and how it is mended.
BREAK: Mapping[str, tuple[str, ...]] = {
    "cp1": (
        "mkdir -p /var/lib/etcd && mount -t tmpfs -o size=16m none /var/lib/etcd",
        "systemd-run --quiet --unit squatter perl -MIO::Socket::INET -e "
        "'my $s = IO::Socket::INET->new(LocalPort => 6443, Listen => 5, ReuseAddr => 1) or die; sleep 600'",
    ),
    "w1": (
        "hostname w2",
        "ip addr add 10.10.3.1/24 dev eth0",
        "ip link set dev eth0 mtu 1400",
        "install -D /dev/null /etc/cni/net.d/05-cilium.conflist",
        "cp /var/lib/dpkg/status /var/backups/status && sed -i '0,/^Status: install ok installed/s//"
        "Status: install ok half-configured/' /var/lib/dpkg/status",
    ),
    "w2": (
        "install -D /dev/stdin /run/systemd/system/docker.service <<<"
        "$'[Service]\\nExecStart=/bin/sleep infinity' && systemctl daemon-reload && systemctl start docker",
        "install -D /dev/stdin /etc/containerd/config.toml <<<'disabled_plugins = [\"cri\"]'",
    ),
}
MEND: Mapping[str, tuple[str, ...]] = {
    "cp1": ("umount /var/lib/etcd", "systemctl stop squatter"),
    "w1": (
        "hostname w1",
        "ip addr del 10.10.3.1/24 dev eth0",
        "ip link set dev eth0 mtu 1500",
        "rm -r /etc/cni",
        "cp /var/backups/status /var/lib/dpkg/status",
        "cp /var/backups/machine-id /etc/machine-id",
        "rm /etc/ssh/ssh_host_ecdsa_key*",
    ),
    "w2": (
        "systemctl stop docker && rm /run/systemd/system/docker.service && systemctl daemon-reload",
        "rm -r /etc/containerd /etc/ssh/ssh_host_ecdsa_key*",
    ),
}


def on(lab: Lab, name: str, *commands: str) -> None:
    """Run commands on a machine as root."""
    done = subprocess.run(
        lab.ssh_command(name, "sudo", "bash", "-e"),
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def firewall(lab: Lab, name: str, *rule: str) -> None:
    """Add a rule to a machine's own firewall, from outside: the machine has no program for it."""
    namespace = identifier(lab.name, name)
    subprocess.run(["ip", "netns", "exec", namespace, "iptables", "-w", *rule], check=True, capture_output=True)


def plan(lab: Lab, *words: str, inventory: Path | None = None) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of a plan, and its steps."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "clusterctl",
            "-i",
            str(inventory or lab.inventory),
            "plan",
            "bootstrap",
            "--json",
            *words,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)["steps"]


def of(steps: list[dict[str, Any]], verdict: str) -> dict[tuple[str, str], str]:
    """The reasons of all steps with this verdict, by host and step."""
    return {(step["host"], step["step"]): step["reason"] for step in steps if step["verdict"] == verdict}


def edited(lab: Lab, path: Path, **changes: object) -> Path:
    """A copy of the lab's inventory with other values below ``cluster``."""
    data = yaml.safe_load(lab.inventory.read_text())
    for key, value in changes.items():
        old = data["cluster"].get(key)
        data["cluster"][key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture(scope="module")
def machines(lab: LabFactory) -> Lab:
    """One control plane and two workers."""
    return lab(control_planes=1, workers=2, name="e2e-pre")


@pytest.fixture(scope="module")
def broken(machines: Lab, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the plan says with everything broken at once; the machines are mended again afterwards."""
    for name, commands in BREAK.items():
        on(machines, name, *commands)
    # A clone: the machine-id and a host key of w2 on w1.
    on(machines, "w2", "ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key")
    key = machines.run("w2", "cat /etc/ssh/ssh_host_ecdsa_key.pub").strip()
    machine_id = machines.run("w2", "cat /etc/machine-id").strip()
    on(
        machines,
        "w1",
        "cp /etc/machine-id /var/backups/machine-id",
        f"echo {machine_id} >/etc/machine-id",
        f"echo '{key}' >/etc/ssh/ssh_host_ecdsa_key.pub",
    )
    firewall(machines, "w2", "-A", "INPUT", "-p", "udp", "--dport", "8472", "-j", "DROP")
    firewall(
        machines, "w1", "-A", "INPUT", "-p", "tcp", "--dport", "10250", "-j", "REJECT", "--reject-with", "tcp-reset"
    )
    inventory = edited(
        machines,
        tmp_path_factory.mktemp("inventory") / "broken.yaml",
        endpoint="nowhere.invalid:6443",
        sources={"packages": "http://127.0.0.1:9", "images": "registry.invalid/k8s"},
    )
    code, steps = plan(machines, inventory=inventory)
    assert code == 3
    for name, commands in MEND.items():
        on(machines, name, *commands)
    for name in ("w1", "w2"):
        firewall(machines, name, "-F", "INPUT")
    return steps


@pytest.mark.parametrize(
    ("hosts", "step", "text"),
    [
        ("cp1", "preflight/disk-space", "16 MiB free for /var/lib/etcd"),
        ("cp1", "preflight/ports", "port 6443 is held by perl"),
        ("w1 w2", "preflight/hostname", "has the same host name, w2"),
        ("w1 w2", "preflight/machine-id", "has the same machine-id"),
        ("w1 w2", "preflight/ssh-host-keys", "has the same SSH host key (ecdsa-sha2-nistp256)"),
        ("w1", "preflight/cidrs", "pod_cidr 10.10.0.0/16 overlaps the route to 10.10.3.0/24 on eth0"),
        ("w1", "preflight/packages", "an installation of packages was interrupted"),
        ("w1", "preflight/leftovers", "/etc/cni/net.d/05-cilium.conflist"),
        ("w2", "preflight/docker", "Docker runs here"),
        ("cp1 w1", "preflight/reach", "cannot reach UDP 8472 of w2: no answer"),
        ("cp1", "preflight/reach", "cannot reach TCP 10250 of w1: connection refused"),
        ("cp1 w2", "preflight/mtu", "packets of 1500 bytes do not reach w1 (1400 do)"),
        ("cp1 w1 w2", "preflight/endpoint", "the name nowhere.invalid does not resolve"),
        ("cp1 w1 w2", "preflight/source", "http://127.0.0.1:9/core:/stable:/v1.36/deb cannot be read"),
        ("cp1 w1 w2", "preflight/registries", "registry.invalid does not answer"),
    ],
)
def test_one_plan_names_every_finding(broken: list[dict[str, Any]], hosts: str, step: str, text: str) -> None:
    """Each has its name, its evidence and what to do, on exactly the hosts that it concerns."""
    found = of(broken, "blocked")

    assert {host for (host, name), reason in found.items() if name == step and text in reason} == set(hosts.split())
    for each in broken:
        assert each["verdict"] != "blocked" or each["resolution"]


def test_nothing_else_is_found(broken: list[dict[str, Any]]) -> None:
    """Twelve findings and more, and not one too many."""
    assert len({step for _, step in of(broken, "blocked")}) == 14


def test_mended_machines_have_nothing_in_the_way(machines: Lab) -> None:
    """The same machines, mended: no finding is left, and no listener of ours."""
    code, steps = plan(machines)

    assert (code, of(steps, "blocked")) == (0, {})
    assert "preflight/time-service" in {step["step"] for step in steps if step.get("warning")}
    for name in ("cp1", "w1", "w2"):
        assert "clusterctl-look" not in machines.run(name, "ps -e -o comm=")


def test_an_endpoint_behind_nat_leads_to_the_control_plane(machines: Lab, tmp_path: Path) -> None:
    """A public address that no interface carries: told where it leads, or that it leads nowhere from one host."""
    address = machines.machine("cp1").address
    inventory = edited(machines, tmp_path / "nat.yaml", endpoint=f"{PUBLIC}:6443")
    for name in ("cp1", "w1"):
        nat = ("-p", "tcp", "-d", PUBLIC, "--dport", "6443", "-j", "DNAT", "--to-destination", f"{address}:6443")
        firewall(machines, name, "-t", "nat", "-A", "OUTPUT", *nat)
    firewall(machines, "w2", "-A", "OUTPUT", "-d", PUBLIC, "-j", "DROP")

    code, steps = plan(machines, inventory=inventory)
    ignoring, ignored = plan(machines, "--ignore", "preflight/endpoint", inventory=inventory)

    assert code == 3
    assert set(of(steps, "blocked")) == {("w2", "preflight/endpoint")}
    assert "cannot be reached from here: no answer" in of(steps, "blocked")["w2", "preflight/endpoint"]
    said = of(steps, "satisfied")["w1", "preflight/endpoint"]
    assert f"{PUBLIC} is on no interface of the hosts (NAT or a load balancer) and leads to a control plane" in said
    assert ignoring == 0
    assert of(ignored, "satisfied")["w2", "preflight/endpoint"].startswith("ignored by the operator: ")
    for name in ("cp1", "w1"):
        firewall(machines, name, "-t", "nat", "-F", "OUTPUT")
    firewall(machines, "w2", "-F", "OUTPUT")


def test_listeners_end_by_themselves(machines: Lab) -> None:
    """A plan that is killed in the middle leaves nothing: a next one is not misled, and the listeners are gone soon."""
    silence = ("INPUT", "-p", "tcp", "--dport", "10250", "-j", "DROP")
    firewall(machines, "w2", "-A", *silence)  # The others wait for its answer, with the listeners open.
    running = subprocess.Popen(
        [sys.executable, "-m", "clusterctl", "-i", str(machines.inventory), *PLAN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while "clusterctl-look" not in machines.run("w1", "ps -e -o comm="):
        assert time.monotonic() < deadline
        assert running.poll() is None, "the plan was faster than the look for its listener"
    running.kill()
    running.wait()
    firewall(machines, "w2", "-D", *silence)

    code, steps = plan(machines)

    assert (code, of(steps, "blocked")) == (0, {})
    while "clusterctl-look" in machines.run("w1", "ps -e -o comm="):
        assert time.monotonic() < deadline
        time.sleep(1)
