"""What is kept on the operator's computer: whole folders with digests, for their owner alone."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed, InputError
from clusterctl.session.backups import Backups
from clusterctl.steps.step import Saved
from tests.cli.conftest import Call, FakeMachines
from tests.steps.test_upgrade_snapshot import NOW, OLD

CONTENT = {"/there/etcd.db": b"\x00\xffsnapshot", "/there/etc-kubernetes.tar": b"tar"}
FILES = {
    path.rpartition("/")[2]: Saved(path, hashlib.sha256(content).hexdigest(), len(content))
    for path, content in CONTENT.items()
}


class Copying:
    """A host from which files can be copied; ``broken`` fails."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def copy(self, path: str, to: Path, *, sha256: str) -> None:
        """As a connection does it."""
        if path == self.broken:
            raise CommandFailed(f"cp1: copying {path} failed")
        to.write_bytes(CONTENT[path])


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the backups of the cluster demo lie."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "clusterctl" / "backups" / "demo"


def test_a_folder_is_whole_and_for_its_owner(state: Path) -> None:
    """Modes, content and digests, as sha256sum checks them."""
    where = Backups("demo").keep("one", Copying(), FILES, {"RESTORE.md": "how\n"})  # type: ignore[arg-type]

    folder = state / "one"
    assert where.endswith(f":{folder}")
    assert "@" in where
    assert sorted(path.name for path in state.iterdir()) == ["one"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "etcd.db").read_bytes() == CONTENT["/there/etcd.db"]
    assert (folder / "RESTORE.md").stat().st_mode & 0o777 == 0o600
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == 3


def test_what_breaks_off_leaves_nothing(state: Path) -> None:
    """Half a backup cannot be taken for one."""
    with pytest.raises(CommandFailed):
        Backups("demo").keep("one", Copying("/there/etc-kubernetes.tar"), FILES, {})  # type: ignore[arg-type]

    assert list(state.iterdir()) == []


def test_room_is_looked_at_before(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told before anything is copied."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))

    with pytest.raises(InputError, match="1 MiB are free for"):
        Backups("demo").keep("one", Copying(), FILES, {})  # type: ignore[arg-type]

    assert list(state.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(state: Path) -> None:
    """A folder of that name that is there already is never filled up."""
    (state / "one").mkdir(parents=True)
    (state / "one" / "etcd.db").write_text("another")

    with pytest.raises(InputError, match="cannot write"):
        Backups("demo").keep("one", Copying(), FILES, {})  # type: ignore[arg-type]

    assert (state / "one" / "etcd.db").read_text() == "another"
    assert [path.name for path in state.iterdir()] == ["one"]


def test_the_whole_way_from_the_command_line(call: Call, machines: FakeMachines, tmp_path: Path) -> None:
    """``run ./snapshot.yaml`` says where the backup lies; a second run changes nothing."""
    call("bootstrap", "--yes")
    world = machines.world
    world.hosts["cp1"] = replace(world.hosts["cp1"], static_pods=OLD, now=NOW)
    book = tmp_path / "snapshot.yaml"
    book.write_text("plays: [{name: Save, hosts: first-control-plane, run: [upgrade/snapshot]}]\n")

    result = call("run", "./snapshot.yaml", "--yes")

    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "state" / "clusterctl" / "backups" / "demo").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "RESTORE.md",
        "SHA256SUMS",
        "etc-kubernetes.tar",
        "etcd.db",
    ]
    assert f":{folder}" in result.output
    assert call("run", "./snapshot.yaml", "--yes").exit_code == 0
    assert len(list(folder.parent.iterdir())) == 1
