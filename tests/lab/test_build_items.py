"""Items and their keys."""

from pathlib import Path

import pytest

from clusterctl.errors import InputError
from clusterctl.lab.build import items
from clusterctl.lab.build.items import Item, Workshop, in_order, ours


def nothing(shop: Workshop, target: Path) -> None:
    """Make an empty item."""


def make_item(name: str = "thing-1", recipe: tuple[str, ...] = ("a",), needs: tuple[Item, ...] = ()) -> Item:
    """Return an item that makes nothing."""
    return Item(name, recipe, nothing, needs=needs)


def test_a_key_names_its_item_and_is_the_same_for_the_same_recipe() -> None:
    """The same recipe finds what was built before."""
    assert make_item().key == make_item().key
    assert make_item().key.startswith("thing-1-")


@pytest.mark.parametrize(
    "other",
    [
        make_item(name="thing-2"),
        make_item(recipe=("b",)),
        make_item(recipe=("a", "")),
        make_item(needs=(make_item("other"),)),
    ],
)
def test_a_key_changes_with_anything_the_item_depends_on(other: Item) -> None:
    """Another name, recipe or need is another item."""
    assert other.key != make_item().key


def test_a_key_changes_when_the_recipe_of_a_need_changes() -> None:
    """What an item is made from is part of it."""
    before = make_item(needs=(make_item("part", ("1",)),))
    after = make_item(needs=(make_item("part", ("2",)),))

    assert before.key != after.key


def test_a_key_changes_with_the_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on a shared home directory never gives one machine the programs of another."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    here = make_item().key
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    there = make_item().key

    assert here != there


def test_an_unknown_architecture_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be built says so, and what can."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(InputError, match="riscv64") as error:
        items.machine()

    assert "x86_64" in error.value.resolution


def test_items_come_after_what_they_need_and_once() -> None:
    """The order of building, from what is asked for."""
    part = make_item("part")
    one, two = make_item("one", needs=(part,)), make_item("two", needs=(part,))

    found = in_order([two, one, make_item("part")])

    assert [item.name for item in found] == ["part", "two", "one"]


def test_our_files_are_part_of_a_recipe_with_their_names() -> None:
    """Renaming or editing a file changes the recipe."""
    texts = ours("containerd")

    assert "containerd/containerd.service" in texts
    assert any("ExecStart=/usr/bin/containerd" in text for text in texts)
