"""Calico on real machines, with images that somebody brings; own manifests and the refusal to switch need none.

``$CLUSTERCTL_CALICO_IMAGES`` names a folder of OCI archives: tigera/operator and Calico's own images of the release.
``$CLUSTERCTL_CALICO_MANIFESTS`` names the folder of the release's two manifests, where they cannot be downloaded.
"""

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import yaml

from clusterctl.lab.build.api import missing
from clusterctl.lab.lab import Lab
from clusterctl.lab.making import up
from clusterctl.lab.shape import DEFAULT_KUBERNETES, Shape
from clusterctl.render import document
from tests.e2e.conftest import LabFactory
from tests.e2e.test_bootstrap import clusterctl

pytestmark = pytest.mark.e2e

IMAGES = os.environ.get("CLUSTERCTL_CALICO_IMAGES", "")
MANIFESTS = os.environ.get("CLUSTERCTL_CALICO_MANIFESTS", "")


def with_network(lab: Lab, path: Path, network: dict[str, Any]) -> Path:
    """A copy of the lab's inventory with another network."""
    data = yaml.safe_load(lab.inventory.read_text())
    data["cluster"]["network"] = network
    path.write_text(yaml.safe_dump(data))
    return path


def digest(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def calico() -> dict[str, Any]:
    """The default network, its manifests from the folder where one is named; without the drivers that need more."""
    network: dict[str, Any] = {
        "plugin": "calico",
        "kubelet_volume_plugin_path": "None",
        "installation": {"flexVolumePath": "None"},
    }
    if MANIFESTS:
        files = {
            "operator_crds": Path(MANIFESTS, "operator-crds.yaml"),
            "operator": Path(MANIFESTS, "tigera-operator.yaml"),
        }
        network["manifests"] = {key: {"file": str(path), "sha256": digest(path)} for key, path in files.items()}
    return network


@pytest.mark.skipif(not IMAGES, reason="CLUSTERCTL_CALICO_IMAGES names no folder with archives of Calico's images")
@pytest.mark.timeout(1200)
def test_a_cluster_with_calico(lab: LabFactory, tmp_path: Path) -> None:
    """From bare machines to pods that reach each other over Calico; the second run changes nothing."""
    made = lab(control_planes=1, workers=1, name="e2e-calico")
    up(Shape(name=made.name), images=Path(IMAGES))
    inventory = with_network(made, tmp_path / "calico.yaml", calico())

    done = clusterctl(made, "bootstrap", "--yes", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr

    plan = json.loads(clusterctl(made, "plan", "bootstrap", "--json", inventory=inventory).stdout)
    assert (plan["changes"], plan["blocked"], plan["unknown"]) == (0, 0, 0)
    verified = clusterctl(made, "verify", inventory=inventory)
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
def test_own_manifests_make_a_cluster_whose_plugin_stays(lab: LabFactory, tmp_path: Path) -> None:
    """A plugin that clusterctl does not know by name: applied, waited for, left alone, and never replaced."""
    made = lab(control_planes=1, workers=1, name="e2e-own")
    manifest = tmp_path / "own.yaml"
    manifest.write_text(document("network/flannel.yaml.j2", pod_cidr="10.10.0.0/16", version="v0.28.4"))
    own = {"plugin": "manifests", "manifests": [{"file": str(manifest), "sha256": digest(manifest)}]}
    inventory = with_network(made, tmp_path / "own-inventory.yaml", own)

    done = clusterctl(made, "bootstrap", "--yes", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr

    plan = json.loads(clusterctl(made, "plan", "bootstrap", "--json", inventory=inventory).stdout)
    assert (plan["changes"], plan["blocked"], plan["unknown"]) == (0, 0, 0)
    manifest.write_text(manifest.read_text() + "# changed\n")
    other = with_network(made, tmp_path / "flannel.yaml", {"plugin": "flannel"})
    refused = clusterctl(made, "bootstrap", "--yes", inventory=other)
    assert refused.returncode == 3
    assert "this cluster's network comes from own manifests" in refused.stdout


def test_a_wrong_digest_is_refused_before_anything_changes(lab: LabFactory, tmp_path: Path) -> None:
    """The plan names both digests, and no host is touched."""
    made = lab(control_planes=1, workers=0, name="e2e-digest")
    manifest = tmp_path / "own.yaml"
    manifest.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: own}\n")
    own = {"plugin": "manifests", "manifests": [{"file": str(manifest), "sha256": "0" * 64}]}
    inventory = with_network(made, tmp_path / "i.yaml", own)

    refused = clusterctl(made, "bootstrap", "--yes", inventory=inventory)

    assert refused.returncode == 3
    assert digest(manifest) in refused.stdout
    assert made.run("cp1", "ls /etc/kubernetes 2>/dev/null || echo none").strip() == "none"


@pytest.mark.skipif(bool(missing((DEFAULT_KUBERNETES,))), reason="the lab's images are not built yet")
def test_images_are_pushed_into_the_labs_registry(lab: LabFactory, tmp_path: Path) -> None:
    """An archive of a real image, named as one of quay.io, is pulled by a machine through the registry."""
    items = Path(platformdirs.user_cache_dir("clusterctl")) / "lab" / "items"
    layout = max(items.glob("image-pause-*"), key=lambda path: path.stat().st_mtime)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "quay.io/clusterctl/probe:v1"}
    (tmp_path / "index.json").write_text(json.dumps(index))
    folder = tmp_path / "images"
    folder.mkdir()
    with tarfile.open(folder / "probe.tar", "w") as archive:
        archive.add(tmp_path / "index.json", arcname="index.json")
        archive.add(layout / "blobs", arcname="blobs")
    made = lab(control_planes=1, workers=0, name="e2e-digest")

    up(Shape(name=made.name), images=folder)

    registry = made.registry
    address = f"http://{registry.host}:{registry.port}/v2/clusterctl/probe/manifests/v1"
    accept = "'Accept: application/vnd.oci.image.manifest.v1+json'"
    found = subprocess.run(
        made.ssh_command("cp1", "curl", "-fsS", "-H", accept, address), capture_output=True, check=True
    )
    assert f"sha256:{hashlib.sha256(found.stdout).hexdigest()}" == index["manifests"][0]["digest"]
