"""Save first: when a snapshot is needed, what is kept, and that every fault leads to a whole one."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest

from clusterctl.engine.playbook import Play, Playbook, load_playbook
from clusterctl.errors import ClusterctlError, CommandFailed
from clusterctl.model.facts import FileFact
from clusterctl.model.places import BACKUP_RECORD, etcd_url
from clusterctl.model.verdict import Blocked, Needed, Satisfied
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.step import Step
from clusterctl.steps.upgrade.snapshot import SETTINGS, SNAPSHOT, Snapshot, restore_text
from tests.builders import VIRTUAL, make_inventory, make_situation
from tests.simulation import FAULTS, SAVED, Fault, Killed, World, run

BOOTSTRAP = load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE)
STEP = Snapshot()
SAVE = Playbook("save", (Play("Save", "first-control-plane", (STEP,)),))
OLD = {
    "kube-apiserver": "registry.k8s.io/kube-apiserver:v1.35.4",
    "etcd": "registry.k8s.io/etcd:3.6.6-0",
}
NOW = 1_800_000_000.0


def record(**changes: Any) -> dict[str, FileFact]:
    """The file on the host."""
    data = {
        "version": "1.36.3",
        "stamp": "20270115T080000Z",
        "at": NOW - 3600,
        "revision": 4711,
        "sha256": "aaaa",
        "kept": "op@desk:/backups/x",
    }
    return {BACKUP_RECORD: FileFact(json.dumps({**data, **changes}), "600")}


CASES: list[tuple[Step, dict[str, Any], type, str]] = [
    (STEP, {}, Blocked, "no etcd runs here"),
    (STEP, {"static_pods": OLD}, Needed, "nothing was saved before the upgrade to 1.36.3"),
    (STEP, {"static_pods": OLD, "files": record()}, Satisfied, "etcd at revision 4711: op@desk:/backups/x"),
    (STEP, {"static_pods": OLD, "files": record(version="1.35.4")}, Needed, "nothing was saved before"),
    (STEP, {"static_pods": OLD, "files": record(at=NOW - 25 * 3600)}, Needed, "20270115T080000Z is older than a day"),
    (STEP, {"static_pods": OLD, "files": {BACKUP_RECORD: FileFact("{", "600")}}, Needed, "nothing was saved"),
    (STEP, {"static_pods": OLD, "files": {BACKUP_RECORD: FileFact("[]", "600")}}, Needed, "nothing was saved"),
    (STEP, {"static_pods": {**OLD, "kube-apiserver": "k/kube-apiserver:v1.36.3"}}, Satisfied, "at 1.36.3 already"),
    (STEP, {"static_pods": {**OLD, "kube-apiserver": "k/kube-apiserver:v1.36.10"}}, Satisfied, "at 1.36.10 already"),
    (STEP, {"static_pods": {**OLD, "kube-apiserver": "k/kube-apiserver@sha256:00"}}, Needed, "nothing was saved"),
]


@pytest.mark.parametrize(("step", "facts", "kind", "text"), CASES)
def test_when_a_snapshot_is_needed(step: Step, facts: dict[str, Any], kind: type, text: str) -> None:
    """The record on the host and the control plane's version decide."""
    verdict = step.check(make_situation("cp1", now=NOW, **facts))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)


def old_world(control_planes: int = 1) -> World:
    """A cluster of 1.35.4 whose inventory asks for 1.36.3."""
    world = World(make_inventory(VIRTUAL if control_planes > 1 else "", control_planes=control_planes))
    run(BOOTSTRAP, world)
    for host in world.inventory.control_planes:
        world.hosts[host.name] = replace(world.hosts[host.name], static_pods=OLD, now=NOW)
    world.actions.clear()
    return world


def test_what_is_kept_and_what_is_left() -> None:
    """The snapshot, /etc/kubernetes and the way back are with the operator; the host has a record, and no copy."""
    world = old_world()

    run(SAVE, world)

    ((name, kept),) = world.kept.items()
    assert name.endswith("Z-before-1.36.3")
    assert kept.keys() == {SNAPSHOT, SETTINGS, "RESTORE.md"}
    assert (kept[SNAPSHOT], kept[SETTINGS]) == ("aaaa", "bbbb")
    assert not world.saved
    written = json.loads(world.hosts["cp1"].file(BACKUP_RECORD) or "")
    assert written["kept"] == f"operator@desk:/backups/{name}"
    assert written | {"kept": "", "stamp": ""} == {
        "version": "1.36.3", "stamp": "", "at": NOW, "revision": 4711, "sha256": "aaaa", "kept": "",
    }  # fmt: skip
    assert world.hosts["cp1"].files[BACKUP_RECORD].mode == "600"


def test_it_is_made_once() -> None:
    """A second run finds the record."""
    world = old_world()
    run(SAVE, world)
    before = len(world.actions)

    run(SAVE, world)

    assert len(world.actions) == before


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("action", range(4))
def test_after_every_fault_a_second_run_has_a_whole_backup(action: int, fault: Fault) -> None:
    """The record is there only when everything in it has been kept."""
    world = old_world()
    world.break_at, world.fault = action, fault
    with contextlib.suppress(ClusterctlError, Killed):
        run(SAVE, world)
    if world.hosts["cp1"].file(BACKUP_RECORD):
        assert world.kept
    world.break_at = None
    world.reboot("cp1")

    run(SAVE, world)

    assert world.kept
    assert world.hosts["cp1"].file(BACKUP_RECORD)
    assert not world.saved


@pytest.mark.parametrize(
    "output", ["", "@@ saved\n", SAVED.replace("etcd.db", "other.db"), SAVED.replace("revision", "x")]
)
def test_a_script_that_does_not_say_what_it_saved_is_an_error(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept and no record is written on a guess."""
    world = old_world()
    monkeypatch.setattr("tests.simulation.SAVED", output)

    with pytest.raises(CommandFailed, match="did not say what it saved"):
        run(SAVE, world)

    assert not world.kept
    assert not world.hosts["cp1"].file(BACKUP_RECORD)


def test_the_way_back_names_every_control_plane() -> None:
    """Each has its own block, and all have the same members."""
    world = old_world(control_planes=3)
    situation = make_situation("cp1", extra=VIRTUAL, control_planes=3, static_pods=OLD)
    situation = replace(situation, all_facts=world.hosts)

    text = restore_text(situation, "20270115T080000Z", {"revision": 4711, "totalKey": 815})

    members = "cp1=https://192.0.2.11:2380,cp2=https://192.0.2.12:2380,cp3=https://192.0.2.13:2380"
    assert text.count(f"--initial-cluster {members}") == 3
    for name in ("cp1", "cp2", "cp3"):
        assert f"--name {name} " in text
    assert "--mark-compacted" in text


def test_an_old_etcd_is_restored_without_what_it_does_not_know() -> None:
    """etcdutl 3.5 has no --bump-revision."""
    old = {**OLD, "etcd": "registry.k8s.io/etcd:3.5.24-0"}

    text = restore_text(make_situation("cp1", static_pods=old), "20270115T080000Z", {"revision": 1, "totalKey": 1})

    assert "--bump-revision" not in text
    assert "registry.k8s.io/etcd:3.5.24-0" in text


def test_etcd_is_asked_where_it_listens() -> None:
    """kubeadm lets it listen on the loopback address of the cluster's family."""
    six = make_inventory("  pod_cidr: fd01::/56\n  service_cidr: fd02::/112\n  network: {plugin: flannel}")

    assert etcd_url(make_inventory().cluster) == "https://127.0.0.1:2379"
    assert etcd_url(six.cluster) == "https://[::1]:2379"
