"""What may go, and what must stay."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from clusterctl.cli import cli
from clusterctl.lab import host, prune
from clusterctl.lab import lab as module
from clusterctl.lab.build import building
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.plan import Common, plan
from clusterctl.lab.build.prune import old_items
from clusterctl.lab.build.versions import EXTRAS, VERSIONS
from clusterctl.lab.progress import Told, Working
from clusterctl.lab.state import Directory, this_boot
from tests.lab.builders import make_state
from tests.lab.test_build_plan import pretend_built


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache, an empty state directory, and no lab on this computer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(host, "_REGISTER", tmp_path / "register.json")
    monkeypatch.setattr(host, "check_suitable", lambda: None)
    return building.cache()


def put(cache: Cache, key: str) -> Path:
    """An item of 100 kB."""
    path = cache.path(key)
    (path / "tree").mkdir(parents=True)
    (path / "tree" / "file").write_bytes(bytes(100_000))
    return path


def test_items_of_other_recipes_are_old(cache: Cache) -> None:
    """What a version needs as recipes are today stays; the same thing of another recipe goes, and what is no more."""
    current = [put(cache, item.key) for item in (Common.items().rootfs, Common.items().base)]
    old = [put(cache, key) for key in ("rootfs-bookworm-0123456789ab", "containerd-1.0.0-0123456789ab")]

    found = old_items(cache)

    assert set(found) == set(old)
    assert not set(current) & set(found)


def test_images_that_nobody_can_know_yet_stay(cache: Cache) -> None:
    """Which etcd a version needs is known once that version is built; from then on, others go."""
    etcd = put(cache, "image-etcd-3.0.0-0-0123456789ab")
    assert etcd not in old_items(cache)

    for version in VERSIONS:
        pretend_built(cache, version)

    assert old_items(cache) == (etcd,)
    assert EXTRAS[0] in " ".join(item.name for item in plan(cache, VERSIONS, EXTRAS))


def test_what_is_served_and_what_a_lab_stands_on_stays(cache: Cache) -> None:
    """A running lab keeps its root file system, and the repository that it serves, also one of a later version."""
    rootfs, repository = put(cache, "rootfs-bookworm-0123456789ab"), put(cache, "repository-v1.36-0123456789ab")
    link = cache.root / "repository" / "core:" / "stable:"
    link.mkdir(parents=True)
    (link / "deb").symlink_to(repository)
    directory = Directory("lab")
    directory.save(make_state(boot=this_boot(), rootfs=rootfs / "tree"))
    record = json.loads((directory.path / "lab.json").read_text())
    (directory.path / "lab.json").write_text(json.dumps({**record, "of a later version": True}))
    host._Register({}, {}, [str(directory.path)], namespaces=True).write()

    assert prune.leftovers(lambda _: None) == ()

    host._Register({}, {}, [], namespaces=True).write()
    assert [each.path for each in prune.leftovers(lambda _: None)] == [rootfs]


def test_prune_shows_asks_and_removes(cache: Cache) -> None:
    """Without an answer nothing goes; the size of what does is told."""
    old = put(cache, "rootfs-bookworm-0123456789ab")

    asked = CliRunner().invoke(cli, ["lab", "prune"])
    kept = old.exists()
    done = CliRunner().invoke(cli, ["lab", "prune", "--yes"])
    again = CliRunner().invoke(cli, ["lab", "prune", "--yes"])

    assert asked.exit_code != 0
    assert kept
    assert asked.stdout.split() == ["cache", "0", "MB", str(old)]
    assert done.stdout.endswith("removed 1 thing, 0.0 GB\n")
    assert not old.exists()
    assert again.stdout == "nothing is left over\n"


def test_labs_that_died_go_and_those_that_run_or_start_stay(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a reboot and of an interrupted `up`; whoever holds the lock is at work."""
    taken: list[str] = []
    monkeypatch.setattr(module, "take_away", lambda state, directory, report: taken.append(state.name))
    state = make_state(boot=this_boot())
    for name, each in (
        ("runs", state),
        ("rebooted", replace(state, boot="an earlier one")),
        ("broken", replace(state, complete=False)),
        ("starting", replace(state, complete=False)),
    ):
        Directory(name).save(replace(each, name=name))

    with Directory("starting").lock():
        found = prune.leftovers(lambda _: None)
        prune.remove(found, lambda _: None)

    assert [each.what for each in found] == ["lab broken", "lab rebooted"]
    assert taken == ["broken", "rebooted"]


def test_the_cache_is_left_alone_while_a_build_runs(cache: Cache) -> None:
    """It may be about to use what looks old."""
    put(cache, "rootfs-bookworm-0123456789ab")
    events: list[Told | Working] = []

    with cache.lock():
        found = prune.leftovers(events.append)

    assert found == ()
    assert any(isinstance(event, Told) and "the cache is left alone: another build" in event.text for event in events)
