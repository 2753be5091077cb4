"""What the inventory passes through to kubeadm and the components, seen on a real cluster."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from clusterctl.lab.lab import Lab
from tests.e2e.conftest import LabFactory
from tests.e2e.test_bootstrap import clusterctl

pytestmark = pytest.mark.e2e

KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
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
def inventory(lab: LabFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path]]:
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
    yield made, path
    made.down()


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
