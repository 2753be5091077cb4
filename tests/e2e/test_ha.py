"""Three control planes behind one address: made, disturbed and whole again; for real.

The tests of this file build on each other, in their order: one cluster is made once.
"""

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
import yaml

from clusterctl.lab.lab import Lab
from clusterctl.steps.joining import DISCOVERY
from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe, connects, version
from tests.e2e.test_bootstrap import clusterctl, command, counts, ok
from tests.e2e.watch import TOKEN, WRITTEN_TO, Watch, held, read, root_of

pytestmark = pytest.mark.e2e

PORT = 8443
CERTIFICATE_KEY = "/run/clusterctl/certificate-key"
PLANES = ("cp1", "cp2", "cp3")
KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
# The goal for the address is a second. A busy computer may take longer: such a failure would say nothing.
GENEROUS = 10.0


@pytest.fixture(scope="module")
def ha(lab: LabFactory) -> Lab:
    """The machines; Secrets shall be encrypted at rest, with one key on all control planes."""
    made = lab(control_planes=3, workers=1, name="e2e-ha")
    wanted = yaml.safe_load(made.inventory.read_text())
    wanted["cluster"] |= {"encryption_at_rest": True, "audit": {"policy": "default"}}
    made.inventory.write_text(yaml.safe_dump(wanted))
    return made


@pytest.fixture(scope="module")
def address(ha: Lab) -> str:
    """The virtual IP, which the lab wrote into the inventory."""
    return str(yaml.safe_load(ha.inventory.read_text())["cluster"]["virtual_ip"])


@pytest.fixture
def authority(ha: Lab) -> str:
    """The cluster's certificate authority, by the kubeconfig that the command hands out."""
    config = yaml.safe_load(ok(ha, "kubeconfig"))
    return base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()


def holders(ha: Lab, address: str) -> list[str]:
    """The machines that have the address, of those that run."""
    running = [each.name for each in ha.status() if each.state == "running" and each.name in PLANES]
    return [name for name in running if f" {address}/" in ha.run(name, "ip -o addr show")]


def give_to_cp1(ha: Lab, address: str) -> None:
    """Have the first control plane hold the address: it is the first to take it, and who restarts gives it away."""
    for _ in PLANES:
        if holders(ha, address) == ["cp1"]:
            break
        ha.run(holders(ha, address)[0], "sudo systemctl restart keepalived")
        time.sleep(3)
    assert holders(ha, address) == ["cp1"]


def wait_until(what: Callable[[], bool], seconds: float = 180) -> None:
    """Look again and again."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.fixture(scope="module")
def watched(ha: Lab, folder: Path) -> Watch:
    """The bootstrap, killed in the middle of kubeadm join on cp2 and run again, while processes are watched."""
    log = folder / "console"
    secrets = {CERTIFICATE_KEY: re.compile(rb"[0-9a-f]{64}"), DISCOVERY: TOKEN}
    with Watch(ha, PLANES, secrets, gentle=True) as watch, log.open("wb") as out:
        running = subprocess.Popen(
            command(ha, "bootstrap", "--yes", "--log", str(folder / "a")), stdout=out, stderr=out
        )
        joining = "test -e /run/clusterctl/kubeadm-join.yaml"
        deadline = time.monotonic() + 300
        while subprocess.run(ha.ssh_command("cp2", f"sudo {joining}"), capture_output=True, check=False).returncode:
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        again = command(ha, "bootstrap", "--yes", "--log", str(folder / "b"))
        assert subprocess.run(again, stdout=out, stderr=out, check=False).returncode == 0, log.read_text()
    return watch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bootstrap's console and events are kept."""
    return tmp_path_factory.mktemp("ha")


@pytest.mark.timeout(900)
def test_a_run_killed_while_a_control_plane_joins_converges(ha: Lab, watched: Watch, address: str) -> None:
    """kill -9 in the middle of kubeadm join on cp2; the next call waited for its end and made the cluster whole."""
    assert watched.looks > 100
    assert counts(ha) == (0, 0, 0)
    assert len(holders(ha, address)) == 1


def test_nobody_saw_a_key_of_the_joins(ha: Lab, watched: Watch, folder: Path, tell: Callable[[str], None]) -> None:
    """Neither certificate keys nor tokens: in a process, on the console, in events, audit trail, journals and logs."""
    began = time.monotonic()
    keys = {secret for secret in watched.learnt if len(secret) == 64}
    marks = {f"secret {number}": secret for number, secret in enumerate(sorted(watched.learnt))}
    runs = sorted(Path(platformdirs.user_state_dir("clusterctl"), "runs").glob(f"*-{ha.name}-bootstrap-*"))[-2:]
    trails = [(str(path), path.read_bytes()) for path in runs]

    assert len(keys) >= 2  # One for each join.
    assert len(watched.learnt - keys) >= 2
    assert any(b"kubeadm\0join" in line for line in watched.seen)
    assert held((("a process", line) for line in watched.seen), marks) == []
    assert [b'"put_secret"' in text and b"***" in text for _, text in trails] == [True, True]
    assert held(iter([*trails, *read(folder)]), marks) == []
    for name in PLANES:
        # With the arguments of whoever wrote a line.
        said = ha.run(name, "sudo journalctl --no-pager -o export --output-fields=MESSAGE,_CMDLINE")
        written = read(*(root_of(ha, name) / place for place in WRITTEN_TO))
        assert held(iter([("the journal", said.encode(errors="replace")), *written]), marks) == []
    looking = f"{watched.looks} looks at processes took {watched.cost:.1f} s"
    tell(f"ha: {looking}, the search for {len(marks)} secrets {time.monotonic() - began:.1f} s")


def test_etcd_has_three_votes(ha: Lab) -> None:
    """Every member is started, and none is a learner."""
    for name in PLANES:
        members = json.loads(ok(ha, "facts", name, "--json"))[name]["etcd_members"]
        assert sorted(member["name"] for member in members) == list(PLANES)
        assert not any(member["learner"] for member in members)


def test_secrets_are_encrypted_with_the_same_key_everywhere(ha: Lab) -> None:
    """What one API server stores, every other one can read."""
    assert len({ha.run(name, "sudo sha256sum /etc/kubernetes/encryption/config.yaml") for name in PLANES}) == 1
    ha.run("cp1", f"{KUBECTL} create secret generic shared --from-literal=word=x")

    for name in PLANES:
        server = f"--server https://{ha.machine(name).address}:6443"
        assert ha.run(name, f"{KUBECTL} {server} get secret shared -o 'jsonpath={{.data.word}}'") == "eA=="
        assert "kind=Policy" in ha.run(name, "sudo sed -n 's/: /=/p' /etc/kubernetes/audit/policy.yaml")


def test_no_secret_of_the_joins_is_left(ha: Lab) -> None:
    """Neither tokens nor certificates in the cluster, nor keys on the hosts."""
    wait_until(lambda: "kubeadm-certs" not in ha.run("cp1", f"{KUBECTL} -n kube-system get secrets"), 30)
    assert "TTL" not in ha.run("cp1", f"{KUBECTL} -n kube-system get secrets")
    assert ha.run("cp1", "sudo kubeadm token list").strip() == ""
    for name in PLANES:
        found = ha.run(name, "sudo grep -rliE 'certificateKey: [0-9a-f]' /run/clusterctl /etc/kubernetes || true")
        assert found == ""


def test_the_kubeconfig_leads_to_the_endpoint(ha: Lab, address: str) -> None:
    """Not to one of the control planes."""
    config = yaml.safe_load(ok(ha, "kubeconfig"))

    assert config["clusters"][0]["cluster"]["server"] == f"https://{address}:{PORT}"


@pytest.mark.timeout(300)
def test_the_cluster_works(ha: Lab) -> None:
    """verify passes on all four nodes."""
    result = json.loads(ok(ha, "verify", "--quick", "--json"))

    assert all(check["ok"] for check in result["checks"]), result


@pytest.mark.timeout(300)
def test_an_api_server_that_restarts_loses_no_request(
    ha: Lab, address: str, authority: str, tell: Callable[[str], None]
) -> None:
    """As in an upgrade, its manifest changes: it says that it is not ready, HAProxy takes it out, and then it ends."""

    def started() -> str:
        return ha.run("cp2", "ps -o lstart= -C kube-apiserver || true").strip()

    before = started()
    ready = f"{KUBECTL} --server https://{ha.machine('cp2').address}:6443 get --raw /readyz || true"
    manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    with Probe(version(address, PORT, authority)) as probe:
        time.sleep(1)
        ha.run("cp2", f"sudo sed -i 's/^    tier: control-plane/&\\n    restarted: once/' {manifest}")
        wait_until(lambda: started() not in ("", before))
        wait_until(lambda: ha.run("cp2", ready) == "ok")
        time.sleep(3)  # HAProxy looks twice before it gives the server work again.

    tell(f"ha: one API server restarted: {probe}")
    assert probe.lost == []
    assert probe.answered > 100


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("watched")
def test_a_control_plane_that_restarts_loses_no_request(
    ha: Lab, address: str, authority: str, tell: Callable[[str], None]
) -> None:
    """Everybody has left its API server when it goes down, and may come back when it is whole."""
    give_to_cp1(ha, address)
    boot, began = "cat /proc/sys/kernel/random/boot_id", time.monotonic()
    before = ha.run("cp2", boot)

    with Probe(version(address, PORT, authority)) as probe:
        ok(ha, "reboot", "cp2", "--yes")
        seconds = time.monotonic() - began
        time.sleep(3)

    tell(f"ha: cp2 restarted in {seconds:.0f} s: {probe}")
    assert ha.run("cp2", boot) != before
    assert not_ready(ha) == set()
    assert counts(ha) == (0, 0, 0)
    assert probe.lost == []
    assert probe.answered > 100


@pytest.mark.timeout(600)
def test_the_endpoint_survives_the_loss_of_its_holder(
    ha: Lab, address: str, authority: str, tell: Callable[[str], None]
) -> None:
    """The power of the first control plane, which has the address, fails: another one has it, and everybody speaks."""
    give_to_cp1(ha, address)

    # A request that is under way through the holder has nobody to answer it: the client gives up soon and asks again.
    asking = version(address, PORT, authority, patience=1.5)
    with Probe(connects(address, PORT)) as taken, Probe(asking) as answers:
        time.sleep(2)
        ha.kill("cp1")
        time.sleep(15)

    tell(f"ha: the power of the holder failed: the address: {taken}; GET /version: {answers}")
    assert len(holders(ha, address)) == 1
    assert 0 < taken.longest_gap < GENEROUS
    assert answers.longest_gap < GENEROUS
    assert answers.answered > 100


@pytest.mark.timeout(300)
def test_without_the_first_control_plane_everything_still_speaks(ha: Lab) -> None:
    """plan, status, verify and kubeconfig go through another control plane, and say what is missing."""
    plan = clusterctl(ha, "plan", "bootstrap", "--json")
    steps = json.loads(plan.stdout)["steps"]
    assert plan.returncode == 4, plan.stderr
    assert "cp1" in plan.stderr
    assert {step["host"] for step in steps} == {"cp2", "cp3", "w1"}
    assert {step["verdict"] for step in steps if step["step"] == "control-plane/join"} == {"satisfied"}

    assert "Nothing to do" in ok(ha, "bootstrap", "--yes", "--limit", "w1")
    wait_until(lambda: "cp1" in not_ready(ha))
    assert yaml.safe_load(ok(ha, "kubeconfig"))["clusters"]
    verify = clusterctl(ha, "verify", "--quick", "--deadline", "5")
    assert verify.returncode == 7, verify.stdout + verify.stderr
    assert "cp1" in verify.stdout


def not_ready(ha: Lab) -> set[str]:
    """The nodes that status shows as not Ready."""
    return {node["name"] for node in json.loads(ok(ha, "status", "--json"))["nodes"] if not node["ready"]}


@pytest.mark.timeout(400)
def test_the_lost_control_plane_comes_back(ha: Lab, address: str) -> None:
    """The cluster is whole, nothing needs to be done, and the address stays where it is."""
    holder = holders(ha, address)

    ha.start("cp1")
    wait_until(lambda: not_ready(ha) == set() and counts(ha) == (0, 0, 0), 300)

    assert holders(ha, address) == holder
    members = json.loads(ok(ha, "facts", "cp1", "--json"))["cp1"]["etcd_members"]
    assert len(members) == len(PLANES)
