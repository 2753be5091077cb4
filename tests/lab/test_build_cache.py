"""The cache of built things: complete or not there."""

import os
from pathlib import Path

import pytest

from clusterctl.errors import Refused
from clusterctl.lab.build.cache import Cache, mounts_below, remove_tree, write_text


def interrupted_half_way(cache: Cache) -> None:
    """Make half an item."""
    with cache.fill("thing-1") as directory:
        (directory / "half").write_text("x")
        raise KeyboardInterrupt


def test_an_item_is_there_only_when_its_making_ended_without_an_error(tmp_path: Path) -> None:
    """An interrupted making leaves no item and nothing to clean up, and the next one goes through."""
    cache = Cache(tmp_path)

    with cache.lock():
        with pytest.raises(KeyboardInterrupt):
            interrupted_half_way(cache)
        after_interrupt = cache.has("thing-1"), list((tmp_path / "work").iterdir())
        with cache.fill("thing-1") as directory:
            (directory / "whole").write_text("x")

    assert after_interrupt == (False, [])
    assert [path.name for path in cache.path("thing-1").iterdir()] == ["whole"]


def test_what_a_killed_build_left_behind_is_cleared_by_the_next(tmp_path: Path) -> None:
    """A build that had no chance to clean up does not stand in the way of the next."""
    (tmp_path / "work" / "thing-1" / "deep").mkdir(parents=True)

    with Cache(tmp_path).lock(), Cache(tmp_path).fill("thing-1") as directory:
        found = list(directory.iterdir())

    assert found == []


def test_a_second_build_is_refused_and_told_who_builds(tmp_path: Path) -> None:
    """Two builds at once would undo each other: the second names the process of the first."""
    second = Cache(tmp_path).lock()

    with Cache(tmp_path).lock(), pytest.raises(Refused, match=f"process {os.getpid()}") as refused:
        second.__enter__()

    assert f"kill {os.getpid()}" in refused.value.resolution


def test_the_lock_is_free_again_after_a_build(tmp_path: Path) -> None:
    """A build that ended, well or not, lets the next one in."""
    with pytest.raises(ValueError, match="broken"), Cache(tmp_path).lock():
        raise ValueError("broken")

    with Cache(tmp_path).lock():
        holder = (tmp_path / "lock").read_text()

    assert holder.strip().isdigit()


def test_scratch_directories_never_stay(tmp_path: Path) -> None:
    """What is made elsewhere than in the cache leaves no item."""
    cache = Cache(tmp_path)

    with cache.lock(), cache.scratch("push") as directory:
        (directory / "x").write_text("x")

    assert not directory.exists()
    assert not cache.has("push")


def test_durations_survive_and_a_spoilt_record_of_them_is_no_harm(tmp_path: Path) -> None:
    """Recorded durations only serve the forecast."""
    cache = Cache(tmp_path)

    cache.record("a", 1.26)
    cache.record("b", 2)
    recorded = cache.durations()
    (tmp_path / "times.json").write_text("{")

    assert recorded == {"a": 1.3, "b": 2.0}
    assert cache.durations() == {}


def test_mounts_below_a_path_are_found_parents_first() -> None:
    """Only what lies below the path counts, and escaped blanks are understood."""
    mountinfo = (
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "2 1 8:1 / /cache/items/a\\040b rw - ext4 /dev/sda rw\n"
        "3 2 8:1 / /cache/items/a\\040b/proc rw - proc proc rw\n"
        "4 1 8:1 / /cache/items/ab rw - proc proc rw\n"
    )

    found = mounts_below(Path("/cache/items/a b"), mountinfo)

    assert found == ["/cache/items/a b", "/cache/items/a b/proc"]


def test_remove_tree_takes_links_and_files_as_they_are(tmp_path: Path) -> None:
    """A link is removed, not what it points to."""
    kept = tmp_path / "kept"
    kept.mkdir()
    link = tmp_path / "link"
    link.symlink_to(kept)

    remove_tree(link)

    assert kept.is_dir()
    assert not link.exists()


def test_write_text_replaces_in_one_step(tmp_path: Path) -> None:
    """The text is replaced and nothing else stays beside it."""
    write_text(tmp_path / "d" / "f", "one")
    write_text(tmp_path / "d" / "f", "two")

    assert [path.read_text() for path in (tmp_path / "d").iterdir()] == ["two"]
