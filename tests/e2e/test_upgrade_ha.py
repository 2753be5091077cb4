"""Three control planes behind one address brought to the next minor version: nobody loses a request; for real."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe, version
from tests.e2e.restoring import SAVE, backup, restore
from tests.e2e.test_bootstrap import clusterctl, edited, ok
from tests.e2e.test_ha import PLANES, PORT
from tests.e2e.test_upgrade import NEW, OLD, Cluster, killed_in_a_drain, made

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def ha(lab: LabFactory) -> Cluster:
    """Three control planes behind a virtual IP, and two workers."""
    return made(lab(control_planes=3, workers=2, name="e2e-upha", kubernetes=OLD))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_three_control_planes_are_restored_from_what_was_saved(
    ha: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of RESTORE.md bring back what was there then; etcd has its three members, and pods went on."""
    newer, book = edited(ha.lab, tmp_path / "newer.yaml", "cluster.kubernetes", NEW), tmp_path / "save.yaml"
    book.write_text(SAVE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ha.kubectl("create configmap before --from-literal=key=value")
    saved = clusterctl(ha.lab, "run", str(book), "--yes", inventory=newer)
    assert saved.returncode == 0, saved.stdout + saved.stderr
    ha.kubectl("create configmap later --from-literal=key=value")

    with Probe(ha.web()) as web:
        restore(ha.lab, backup(tmp_path / "state"))

        configs = ha.kubectl("get configmaps -o name")
        ok(ha.lab, "verify", "--quick")
    assert "configmap/before\n" in configs
    assert "later" not in configs
    assert web.lost == []
    for name in PLANES:
        members = json.loads(ok(ha.lab, "facts", name, "--json"))[name]["etcd_members"]
        assert sorted(member["name"] for member in members) == list(PLANES)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_three_control_planes_are_upgraded_and_no_request_is_lost(
    ha: Cluster, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """Neither of the web service nor of the API's endpoint; killed in the middle of a drain, and run again."""
    config = yaml.safe_load(ok(ha.lab, "kubeconfig"))
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    address = str(yaml.safe_load(ha.lab.inventory.read_text())["cluster"]["virtual_ip"])
    with Probe(ha.web()) as web, Probe(version(address, PORT, authority)) as api:
        killed_in_a_drain(ha, tmp_path)
        assert len(ha.cordoned()) == 1

        ok(ha.lab, *ha.upgrade("--yes"))
        time.sleep(2)

    tell(f"upgrade: three control planes: the web service: {web}; the endpoint: {api}")
    assert set(ha.versions().values()) == {f"v{NEW}"}
    assert ha.cordoned() == set()
    assert web.lost == []
    assert api.lost == []
    assert "Nothing to do" in ok(ha.lab, *ha.upgrade("--yes"))
