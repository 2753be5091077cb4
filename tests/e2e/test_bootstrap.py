"""From bare machines to a cluster, and everything a user may meet on the way; for real.

The tests of this file build on each other, in their order: one cluster is made once.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

from clusterctl.lab.lab import Lab
from tests.e2e.conftest import LabFactory

pytestmark = pytest.mark.e2e

SWAPFILE = "/var/lib/containerd/swapfile"
TOTAL_SECONDS = 900


def clusterctl(lab: Lab, *words: str, inventory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, without a terminal."""
    return subprocess.run(command(lab, *words, inventory=inventory), capture_output=True, text=True, check=False)


def command(lab: Lab, *words: str, inventory: Path | None = None) -> list[str]:
    """The words of a call."""
    return [sys.executable, "-m", "clusterctl", "-i", str(inventory or lab.inventory), *words]


def ok(lab: Lab, *words: str) -> str:
    """Run the command, which has to succeed, and return what it printed."""
    done = clusterctl(lab, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def counts(lab: Lab) -> tuple[int, int, int]:
    """changes, blocked and unknown of the plan."""
    plan = json.loads(clusterctl(lab, "plan", "bootstrap", "--json").stdout)
    return plan["changes"], plan["blocked"], plan["unknown"]


@pytest.fixture(scope="module")
def machines(lab: LabFactory) -> Lab:
    """One control plane and two workers; w1 uses a swap file, named in fstab between tabs."""
    made = lab(control_planes=1, workers=2, name="e2e-boot")
    made.run(
        "w1",
        f"sudo sh -c 'fallocate -l 64M {SWAPFILE} && chmod 600 {SWAPFILE} && mkswap {SWAPFILE} && swapon {SWAPFILE}"
        f' && printf "# swap for tests\\n{SWAPFILE}\\tnone\\tswap\\tsw\\t0\\t0\\n" >>/etc/fstab\'',
    )
    return made


def installed(lab: Lab, name: str) -> dict[str, str]:
    """The packages of a machine and their versions."""
    listed = lab.run(name, "dpkg-query -W -f '${Package} ${Version}\\n'")
    return dict(line.split() for line in listed.splitlines())


@pytest.fixture(scope="module")
def packages_before(machines: Lab) -> dict[str, str]:
    """What was installed on w2 before anything was done to it."""
    return installed(machines, "w2")


def edited(lab: Lab, path: Path, change: str, value: object) -> Path:
    """A copy of the lab's inventory with one value changed; ``change`` is a dotted path."""
    data = yaml.safe_load(lab.inventory.read_text())
    place = data
    *parents, last = [int(word) if word.isdigit() else word for word in change.split(".")]
    for word in parents:
        place = place[word]
    place[last] = value
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("change", "value", "code", "text"),
    [
        ("hosts.1.address", "10.77.255.254", 4, "w1"),
        ("ssh.key", "/dev/null", 4, "key"),
        ("ssh.known_hosts", "/dev/null", 4, "hosts trust"),
        ("ssh.user", "nobody", 4, "nobody"),
        ("cluster.kubernetes", "1.36.99", 3, "has no kubeadm 1.36.99"),
        ("cluster.sources.packages", "http://127.0.0.1:9", 3, "cannot be read"),
        ("hosts.1.internal_address", "203.0.113.9", 3, "no interface carries 203.0.113.9"),
    ],
)
def test_bad_input_is_refused_before_anything_changes(
    machines: Lab, tmp_path: Path, change: str, value: object, code: int, text: str
) -> None:
    """Each has its exit code and a next step, and no host is touched."""
    done = clusterctl(machines, "bootstrap", "--yes", inventory=edited(machines, tmp_path / "i.yaml", change, value))

    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert text in said
    assert "Next:" in said
    assert "Traceback" not in said
    assert machines.run("w1", "ls /etc/kubernetes 2>/dev/null || echo none").strip() == "none"


def test_a_user_without_sudo_is_told_so(machines: Lab, tmp_path: Path) -> None:
    """Logging in works, becoming root does not: nothing was sent, exit code 4."""
    keys = "/home/plain/.ssh/authorized_keys"
    machines.run(
        "cp1",
        "sudo useradd --create-home --shell /bin/bash plain && sudo install -D -o plain -m 600 "
        f"~/.ssh/authorized_keys {keys} && sudo chown plain /home/plain/.ssh",
    )

    done = clusterctl(machines, "facts", "cp1", inventory=edited(machines, tmp_path / "i.yaml", "ssh.user", "plain"))

    assert done.returncode == 4, done.stdout + done.stderr
    assert "sudo" in done.stderr
    assert "Next:" in done.stderr


def test_a_changed_host_key_is_never_accepted(machines: Lab, tmp_path: Path) -> None:
    """It may be somebody else's machine."""
    lines = machines.directory.known_hosts.read_text().splitlines()
    keys = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    w1, w2 = machines.machine("w1").address, machines.machine("w2").address
    keys[w1] = keys[w2]
    known = tmp_path / "known_hosts"
    known.write_text("".join(f"{name} {key}\n" for name, key in keys.items()))

    done = clusterctl(
        machines, "facts", "w1", inventory=edited(machines, tmp_path / "i.yaml", "ssh.known_hosts", str(known))
    )

    assert done.returncode == 4
    assert "SHA256:" in done.stderr
    assert "changed" in done.stderr.lower()


def test_leftovers_of_another_cluster_are_refused(machines: Lab) -> None:
    """A foreign certificate authority and a half-done init need a person; both are told at once."""
    machines.run("w2", "sudo install -D /dev/stdin /etc/kubernetes/pki/ca.crt </etc/hostname")
    machines.run("cp1", "sudo install -D /dev/stdin /etc/kubernetes/manifests/etcd.yaml </etc/hostname")

    done = clusterctl(machines, "bootstrap", "--yes")

    machines.run("w2", "sudo rm -r /etc/kubernetes")
    machines.run("cp1", "sudo rm -r /etc/kubernetes")
    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert "another cluster" in said
    assert "the API cannot be asked" in said
    assert "kubeadm reset" in said


def test_the_plan_names_the_swap_file(machines: Lab, packages_before: dict[str, str]) -> None:
    """The plan shows the reason, and nothing is blocked."""
    done = clusterctl(machines, "plan", "bootstrap", "--json")

    plan = json.loads(done.stdout)
    swap = next(step for step in plan["steps"] if (step["host"], step["step"]) == ("w1", "os/swap-off"))
    assert done.returncode == 0
    assert plan["blocked"] == 0, [step for step in plan["steps"] if step["verdict"] == "blocked"]
    assert plan["changes"] > 20
    assert swap["reason"] == f"swap is on: {SWAPFILE}"


@pytest.mark.timeout(TOTAL_SECONDS)
def test_bootstrap_killed_in_the_middle_converges_when_run_again(machines: Lab, tmp_path: Path) -> None:
    """kill -9 while packages are installed, kill -9 in kubeadm init; then the third call makes the cluster."""
    for step in ("packages/kubernetes", "control-plane/init"):
        log = tmp_path / "log"
        with log.open("wb") as out:
            running = subprocess.Popen(command(machines, "bootstrap", "--yes"), stdout=out, stderr=out)
            deadline = time.monotonic() + 300
            while not _reached(machines, step):
                assert running.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            running.kill()
            running.wait()

    done = clusterctl(machines, "bootstrap", "--yes")

    assert done.returncode == 0, done.stdout + done.stderr


def _reached(machines: Lab, step: str) -> bool:
    """Whether a script of this step runs on the control plane at this moment."""
    probe = "sudo sh -c 'flock -n -s /run/clusterctl/lock true || cat /run/clusterctl/running'"
    done = subprocess.run(machines.ssh_command("cp1", probe), capture_output=True, text=True, check=False)
    return done.stdout.strip() == step


def test_no_other_package_moved(machines: Lab, packages_before: dict[str, str]) -> None:
    """What was there is there at its version; what came is Kubernetes and its runtime."""
    after = installed(machines, "w2")

    assert packages_before.items() <= after.items()
    assert after.keys() - packages_before.keys() >= {"containerd", "kubeadm", "kubectl", "kubelet"}


def test_afterwards_the_plan_has_no_changes(machines: Lab) -> None:
    """Everything is as the inventory wants it."""
    assert counts(machines) == (0, 0, 0)


def test_a_second_bootstrap_changes_nothing(machines: Lab) -> None:
    """No file, package or object is touched."""
    for machine in machines.machines:
        machines.run(machine.name, "touch /tmp/before")

    said = ok(machines, "bootstrap", "--yes")

    assert "Nothing to do" in said
    for machine in machines.machines:
        assert machines.run(machine.name, "sudo find /etc /var/lib/dpkg /opt -type f -newer /tmp/before") == ""


@pytest.mark.timeout(300)
def test_the_cluster_works_and_loses_no_request(machines: Lab, tmp_path: Path) -> None:
    """verify, by a kubeconfig alone, passes all its checks, says what it measured, and leaves nothing behind."""
    path = tmp_path / "admin.conf"
    ok(machines, "kubeconfig", "--output", str(path))

    result = json.loads(ok(machines, "verify", "--kubeconfig", str(path), "--json"))

    assert all(check["ok"] for check in result["checks"]), result
    measured = {check["name"]: check["measured"] for check in result["checks"] if check["measured"]}
    assert list(measured) == ["pod replaced", "rolling update", "bad image", "rollback"]
    assert all(numbers["lost"] == 0 and numbers["requests"] > 10 for numbers in measured.values()), measured
    assert {"node port", "session affinity", "headless", "namespaces"} < {check["name"] for check in result["checks"]}
    kubectl = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
    assert "clusterctl-verify" not in machines.run("cp1", f"{kubectl} get namespaces")


def test_no_join_token_is_left(machines: Lab) -> None:
    """Neither init's own nor ours."""
    kubeadm = machines.run("cp1", "sudo kubeadm token list")

    assert "clusterctl" not in kubeadm
    assert machines.run("w1", "sudo ls /run/clusterctl").split() == ["kubeadm-join.yaml", "lock", "log", "running"]


def test_status_and_kubeconfig(machines: Lab, tmp_path: Path) -> None:
    """Three nodes are Ready at the version, and the kubeconfig is for its owner alone."""
    nodes = json.loads(ok(machines, "status", "--json"))["nodes"]
    assert {node["name"]: node["ready"] for node in nodes} == {"cp1": True, "w1": True, "w2": True}
    assert {node["version"] for node in nodes} == {"1.36.3"}

    path = tmp_path / "admin.conf"
    ok(machines, "kubeconfig", "--output", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (
        yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"]
        == "https://" + machines.machine("cp1").address + ":6443"
    )


def test_the_forecast_finds_a_budget_and_its_remedy_helps(machines: Lab) -> None:
    """A budget that can never be met holds nodes, until the command that the forecast tells has been pasted."""
    kubectl = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
    assert clusterctl(machines, "forecast").returncode == 0
    machines.run("cp1", f"{kubectl} -n kube-system create pdb dns --selector=k8s-app=kube-dns --min-available=2")
    try:
        blocks = wait_for_blocks(machines)
        assert {pod for block in blocks for pod in block["pods"]} == set(dns_pods(machines, kubectl))
        assert all("can never allow an eviction: it wants 2 of 2 pods healthy" in block["reason"] for block in blocks)

        remedy = blocks[0]["resolution"].partition("relax the budget: ")[2]
        machines.run("cp1", remedy.replace("kubectl", kubectl, 1))
        assert wait_for_blocks(machines, there=False) == []
        assert set(dns_pods(machines, kubectl)), "the forecast evicted them"
    finally:
        machines.run("cp1", f"{kubectl} -n kube-system delete pdb dns")


def dns_pods(lab: Lab, kubectl: str) -> list[str]:
    """CoreDNS's pods that nobody has deleted."""
    listed = json.loads(lab.run("cp1", f"{kubectl} -n kube-system get pods -l k8s-app=kube-dns -o json"))
    living = (pod["metadata"] for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"])
    return [f"{each['namespace']}/{each['name']}" for each in living]


def wait_for_blocks(lab: Lab, *, there: bool = True) -> list[dict[str, Any]]:
    """What budgets hold, once there is something, or nothing any more, and the budget has been counted."""
    for _ in range(20):
        nodes = json.loads(clusterctl(lab, "forecast", "--json").stdout)["nodes"]
        blocks = [block for node in nodes for block in node["blocks"]]
        if bool(blocks) == there and not any(block["may_pass"] for block in blocks):
            break
        time.sleep(0.5)
    return blocks


def test_labels_and_taints_follow_the_inventory(machines: Lab, tmp_path: Path) -> None:
    """They are set and taken back; those of others stay."""
    kubectl = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
    machines.run("cp1", f"{kubectl} label node w2 foreign=stays && {kubectl} taint node w2 foreign=stays:NoSchedule")
    inventory = edited(machines, tmp_path / "i.yaml", "hosts.2.labels", {"disk": "ssd"})
    data = yaml.safe_load(inventory.read_text())
    data["hosts"][2]["taints"] = ["gpu=yes:NoSchedule"]
    inventory.write_text(yaml.safe_dump(data))

    def described() -> tuple[str, set[str]]:
        node = json.loads(machines.run("cp1", f"{kubectl} get node w2 -o json"))
        labels = {key: value for key, value in node["metadata"]["labels"].items() if key in ("disk", "foreign")}
        return json.dumps(labels, sort_keys=True), {taint["key"] for taint in node["spec"].get("taints", [])}

    done = clusterctl(machines, "bootstrap", "--yes", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert described() == ('{"disk": "ssd", "foreign": "stays"}', {"foreign", "gpu"})

    ok(machines, "bootstrap", "--yes")
    assert described() == ('{"foreign": "stays"}', {"foreign"})
    machines.run("cp1", f"{kubectl} label node w2 foreign- && {kubectl} taint node w2 foreign-")


@pytest.mark.parametrize("name", ["cp1", "w1", "w2"])
def test_the_host_is_as_an_administrator_wants_it(machines: Lab, tmp_path: Path, name: str) -> None:
    """Seen by testinfra, independently of our own probe."""
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host *\n  IdentityFile {machines.directory.key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {machines.directory.known_hosts}\n  StrictHostKeyChecking yes\n"
    )
    host = testinfra.get_host(f"ssh://admin@{machines.machine(name).address}", ssh_config=str(config), sudo=True)

    for package in ("kubeadm", "kubelet", "kubectl"):
        assert host.package(package).version.startswith("1.36.3-")
    assert set(host.check_output("apt-mark showhold").split()) == {"kubeadm", "kubectl", "kubelet"}
    for service in ("containerd", "kubelet"):
        assert host.service(service).is_running
        assert host.service(service).is_enabled
    assert host.sysctl("net.ipv4.ip_forward") == 1
    assert host.sysctl("net.bridge.bridge-nf-call-iptables") == 1
    assert host.file("/etc/modules-load.d/kubernetes.conf").content_string.split() == ["overlay", "br_netfilter"]
    assert not [line for line in host.file("/etc/fstab").content_string.splitlines() if _is_swap_entry(line)]
    assert host.socket("tcp://10250").is_listening or host.socket("tcp://:::10250").is_listening
    assert host.file("/run/clusterctl").mode == 0o700
    if name == "cp1":
        assert host.file("/etc/kubernetes/admin.conf").mode == 0o600
        assert host.socket("tcp://6443").is_listening or host.socket("tcp://:::6443").is_listening


def _is_swap_entry(line: str) -> bool:
    return not line.lstrip().startswith("#") and line.split()[2:3] == ["swap"]


@pytest.mark.timeout(300)
def test_swap_stays_off_after_a_reboot_and_the_node_is_ready_again(machines: Lab) -> None:
    """fstab still tells of the swap file in a comment, and nothing switches it on."""
    assert SWAPFILE in machines.run("w1", "cat /etc/fstab")

    machines.reboot("w1")

    # The node counts as Ready for a while after its machine went down: only a kubelet of this boot proves it.
    boot = machines.run("w1", "cat /proc/sys/kernel/random/boot_id").strip()
    registered = (
        "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get node w1 -o jsonpath={.status.nodeInfo.bootID}"
    )
    deadline = time.monotonic() + 180
    while True:
        nodes = {node["name"]: node["ready"] for node in json.loads(ok(machines, "status", "--json"))["nodes"]}
        again = machines.run("cp1", registered).strip() == boot
        if again and nodes["w1"] and counts(machines) == (0, 0, 0):
            break
        assert time.monotonic() < deadline, (nodes, again)
        time.sleep(2)
    assert SWAPFILE not in machines.run("w1", "cat /proc/swaps")
    assert machines.run("w1", "systemctl is-active kubelet").strip() == "active"


@pytest.mark.timeout(300)
def test_another_worker_joins_the_running_cluster(machines: Lab, lab: LabFactory) -> None:
    """Only the new machine changes."""
    grown = lab(control_planes=1, workers=3, name="e2e-boot")
    plan = json.loads(clusterctl(grown, "plan", "bootstrap", "--json").stdout)
    assert {step["host"] for step in plan["steps"] if step["verdict"] == "needed"} == {"w3"}

    ok(grown, "bootstrap", "--yes")

    assert counts(grown) == (0, 0, 0)
