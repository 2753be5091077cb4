"""What the inventory passes through to kubeadm and the components, seen on a real cluster."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from clusterctl.lab.lab import Lab
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.finding import Finding
from tests.e2e.conftest import LabFactory
from tests.e2e.restoring import SAVE, backup, onto, restore
from tests.e2e.test_bootstrap import clusterctl
from tests.e2e.test_ha import KUBECTL

pytestmark = pytest.mark.e2e

ETCD = (
    f"{KUBECTL} -n kube-system exec etcd-cp1 -- etcdctl --endpoints https://127.0.0.1:2379 "
    "--cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt "
    "--key /etc/kubernetes/pki/etcd/server.key"
)
SETTINGS = {
    "api_server": {"extra_args": {"profiling": False}, "cert_sans": ["k8s.test.example"]},
    "controller_manager": {"extra_args": {"v": 1}},
    "scheduler": {"extra_args": [{"name": "v", "value": 1}]},
    "etcd": {"extra_args": {"quota-backend-bytes": 4294967296}},
    "feature_gates": {"AllAlpha": False},
    "patches": "patches",
    "encryption_at_rest": True,
    "audit": {"policy": "default"},
}


@pytest.fixture(scope="module")
def inventory(lab: LabFactory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Path]:
    """A cluster of one machine with every switch on."""
    made = lab(control_planes=1, workers=0, name="e2e-set")
    folder = tmp_path_factory.mktemp("settings")
    (folder / "patches").mkdir()
    (folder / "patches" / "kube-scheduler+merge.yaml").write_text('metadata: {annotations: {example.com/p: "yes"}}\n')
    (folder / "patches" / "kubeletconfiguration+merge.yaml").write_text("maxPods: 77\n")
    data = yaml.safe_load(made.inventory.read_text())
    data["cluster"].update(SETTINGS)
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump(data))
    done = clusterctl(made, "bootstrap", "--yes", inventory=path)
    assert done.returncode == 0, done.stdout + done.stderr
    return made, path


@pytest.mark.timeout(600)
def test_a_secret_is_stored_encrypted(inventory: tuple[Lab, Path]) -> None:
    """etcd holds it under our key, a ConfigMap beside it in the clear, and its reader gets it back."""
    lab, _ = inventory
    lab.run("cp1", f"{KUBECTL} create secret generic s --from-literal=key=marked-text")
    lab.run("cp1", f"{KUBECTL} create configmap c --from-literal=key=marked-text")

    secret = lab.run("cp1", f"{ETCD} get /registry/secrets/default/s | tr -cd '[:print:]'")
    config = lab.run("cp1", f"{ETCD} get /registry/configmaps/default/c | tr -cd '[:print:]'")

    assert "k8s:enc:secretbox:v1:key1:" in secret
    assert "marked-text" not in secret
    assert "marked-text" in config
    assert lab.run("cp1", f"{KUBECTL} get secret s -o jsonpath='{{.data.key}}' | base64 -d") == "marked-text"


def test_the_key_belongs_to_root_alone_and_stands_in_no_log(inventory: tuple[Lab, Path]) -> None:
    """Its file has mode 0600, and nothing that we or the machine wrote holds it."""
    lab, _ = inventory
    key = lab.run("cp1", "sudo sed -n 's/.*secret: //p' /etc/kubernetes/encryption/config.yaml").strip()

    assert len(key) == 44
    assert lab.run("cp1", "sudo stat -c '%a %U' /etc/kubernetes/encryption/config.yaml").strip() == "600 root"
    assert lab.run("cp1", f"sudo grep -rlF -- '{key}' /run/clusterctl /var/log/kubernetes || true") == ""


def test_the_audit_log_says_who_did_what(inventory: tuple[Lab, Path]) -> None:
    """Creating the Secret left a line, without the Secret's content."""
    lab, _ = inventory
    logged = lab.run("cp1", 'sudo grep \'"resource":"secrets"\' /var/log/kubernetes/audit/audit.log')

    created = [each for each in map(json.loads, logged.splitlines()) if each["verb"] == "create"]
    assert any(each["objectRef"]["name"] == "s" for each in created)
    assert "marked-text" not in logged


def test_arguments_names_and_patches_arrived(inventory: tuple[Lab, Path]) -> None:
    """Seen in the manifests, the certificate, the annotations and the kubelet's file."""
    lab, _ = inventory
    manifests = lab.run("cp1", "sudo cat /etc/kubernetes/manifests/*.yaml")

    for argument in ("--profiling=false", "--quota-backend-bytes=4294967296", "--feature-gates=AllAlpha=false"):
        assert argument in manifests
    assert "example.com/p" in manifests
    certificate = lab.run("cp1", "sudo openssl x509 -in /etc/kubernetes/pki/apiserver.crt -noout -ext subjectAltName")
    assert "DNS:k8s.test.example" in certificate
    assert "maxPods: 77" in lab.run("cp1", "sudo cat /var/lib/kubelet/config.yaml")


def test_a_second_run_finds_nothing_to_do(inventory: tuple[Lab, Path]) -> None:
    """What kubeadm keeps is what the inventory says, and the key stays the same."""
    lab, path = inventory
    before = lab.run("cp1", "sudo sha256sum /etc/kubernetes/encryption/config.yaml")

    done = clusterctl(lab, "bootstrap", "--yes", inventory=path)

    assert done.returncode == 0
    assert "Nothing to do" in done.stdout
    assert lab.run("cp1", "sudo sha256sum /etc/kubernetes/encryption/config.yaml") == before


def test_a_setting_changed_after_bootstrap_is_told(inventory: tuple[Lab, Path]) -> None:
    """bootstrap does not apply it, and says so instead of nothing."""
    lab, path = inventory
    data = yaml.safe_load(path.read_text())
    data["cluster"]["scheduler"] = {}
    data["cluster"]["api_server"]["extra_args"]["profiling"] = True
    changed = path.with_name("changed.yaml")
    changed.write_text(yaml.safe_dump(data))

    done: subprocess.CompletedProcess[str] = clusterctl(lab, "plan", "bootstrap", inventory=changed)

    assert "apiServer.extraArgs" in done.stdout
    assert "scheduler.extraArgs" in done.stdout
    assert "not applied yet" in done.stdout


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's state directory."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def newer(inventory: tuple[Lab, Path]) -> Path:
    """The inventory with a later version, which is only looked at: nothing of it is installed."""
    _, path = inventory
    data = yaml.safe_load(path.read_text())
    data["cluster"]["kubernetes"] = "1.36.99"
    newer = path.with_name("newer.yaml")
    newer.write_text(yaml.safe_dump(data))
    return newer


def test_the_findings_before_an_upgrade_see_the_machine(inventory: tuple[Lab, Path], newer: Path) -> None:
    """Certificates, etcd and the API server's metrics are read where they are, and none of them blocks."""
    lab, _ = inventory
    names = [step.name for step in CATALOGUE.values() if isinstance(step, Finding) and step.name.startswith("upgrade/")]
    book = newer.with_name("look.yaml")
    book.write_text(yaml.safe_dump({"plays": [{"name": "Look", "hosts": "all", "run": names}]}))
    lab.run("cp1", f"{KUBECTL} get --raw /api/v1/endpoints >/dev/null")

    done = clusterctl(lab, "plan", str(book), "--json", inventory=newer)
    facts = json.loads(clusterctl(lab, "facts", "cp1", "--json", inventory=newer).stdout)["cp1"]

    said = {step["step"]: (step["verdict"], step["reason"]) for step in json.loads(done.stdout)["steps"]}
    assert {name for name, (verdict, _) in said.items() if verdict != "satisfied"} == set(), said
    assert said["upgrade/versions"][1] == "1.36.3 to 1.36.99"
    assert re.search(r"the first of 1\d ends in 36\d days", said["upgrade/certificates"][1])
    assert said["upgrade/removed-apis"][1] == "none is in use"
    assert said["upgrade/etcd-health"][1].startswith("the only member")
    assert said["upgrade/etcd-version"][1].startswith("etcd 3.")
    outlook = facts["outlook"]
    assert outlook["etcd"]["size"] > 0
    assert outlook["etcd"]["leader"]
    assert outlook["deprecated"] == []
    assert outlook["gates"]["AllAlpha"] == "ALPHA"
    assert "/etc/kubernetes/admin.conf" in outlook["certificates"]
    assert "PRIVATE" not in str(outlook)


@pytest.mark.timeout(600)
def test_etcd_and_its_keys_are_kept_off_the_host(
    inventory: tuple[Lab, Path], newer: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before an upgrade: whole, for the operator alone, nothing left on the host, and no key in what was written."""
    lab, _ = inventory
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    book = newer.with_name("snapshot.yaml")
    book.write_text(SAVE)

    done = clusterctl(lab, "run", str(book), "--yes", inventory=newer)
    again = clusterctl(lab, "run", str(book), "--yes", inventory=newer)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to do" in again.stdout, again.stdout + again.stderr
    folder = backup(state)
    assert str(folder) in done.stdout
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    record = json.loads(lab.run("cp1", "sudo cat /var/lib/clusterctl/backup.json"))
    assert record["sha256"] == hashlib.sha256((folder / "etcd.db").read_bytes()).hexdigest()
    assert lab.run("cp1", "sudo sh -c 'ls /var/lib/clusterctl /var/lib/etcd'").split() == [
        "/var/lib/clusterctl:", "backup.json", "/var/lib/etcd:", "member",
    ]  # fmt: skip
    key = lab.run("cp1", "sudo sed -n 2p /etc/kubernetes/pki/ca.key").strip()
    written = [each for each in (state / "clusterctl" / "runs").iterdir() if key in each.read_text()]
    assert not written
    assert key not in done.stdout + done.stderr


def test_the_copy_is_a_whole_snapshot(inventory: tuple[Lab, Path], state: Path) -> None:
    """etcdutl reads it and finds the revision that was noted; the archive holds the keys of the cluster."""
    lab, _ = inventory
    folder = backup(state)
    record = json.loads(lab.run("cp1", "sudo cat /var/lib/clusterctl/backup.json"))

    onto(lab, "cp1", folder / "etcd.db", "sudo tee /var/lib/etcd/copy.db >/dev/null")
    status = json.loads(
        lab.run(
            "cp1", f"{KUBECTL} -n kube-system exec etcd-cp1 -- etcdutl -w json snapshot status /var/lib/etcd/copy.db"
        )
    )
    lab.run("cp1", "sudo rm /var/lib/etcd/copy.db")
    listed = subprocess.run(
        ["tar", "-tf", folder / "etc-kubernetes.tar"], capture_output=True, text=True, check=True
    ).stdout.split()

    assert status["revision"] == record["revision"] > 1
    for name in ("pki/ca.key", "pki/sa.key", "pki/etcd/ca.key", "encryption/config.yaml", "manifests/etcd.yaml"):
        assert f"./{name}" in listed


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_way_back_that_is_written_down_works(inventory: tuple[Lab, Path], state: Path) -> None:
    """The commands of RESTORE.md bring back what was there then, encrypted Secrets too; what came later is gone."""
    lab, path = inventory
    folder = backup(state)
    lab.run("cp1", f"{KUBECTL} create configmap later --from-literal=key=value")

    restore(lab, folder)

    found = lab.run("cp1", f"{KUBECTL} get configmaps -o name")
    assert "configmap/c\n" in found
    assert "later" not in found
    assert lab.run("cp1", f"{KUBECTL} get secret s -o jsonpath='{{.data.key}}' | base64 -d") == "marked-text"
    lab.run("cp1", f"{KUBECTL} create configmap afterwards --from-literal=key=value")
    done = clusterctl(lab, "verify", "--quick", inventory=path)
    assert done.returncode == 0, done.stdout + done.stderr
