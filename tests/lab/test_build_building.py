"""Building what is missing: order, progress, refusals."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from clusterctl.errors import CommandFailed, InputError, Refused
from clusterctl.lab import build as public
from clusterctl.lab.build import building
from clusterctl.lab.build.building import build_missing, check_machine
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.events import BuildEvent, Building, Built, Noted, expected_left
from clusterctl.lab.build.items import Item, Later, Workshop
from clusterctl.lab.build.plan import plan

Make = Callable[[Workshop, Path], None]


def leave_a_file(shop: Workshop, target: Path) -> None:
    """Make an item of one file."""
    (target / "file").write_text(shop.name)


def make_item(name: str, make: Make = leave_a_file, needs: tuple[Item, ...] = (), seconds: float = 10) -> Item:
    """Return an item that takes no tools and next to no space."""
    return Item(name, (), make, needs=needs, seconds=seconds, gigabytes=0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache of its own, on a machine that can build."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda tool: f"/usr/bin/{tool}")
    return Cache(tmp_path)


def test_items_are_built_in_order_and_told_from_start_to_end(cache: Cache) -> None:
    """Each item tells when it starts and when it is done, and what is left in all."""
    events: list[BuildEvent] = []
    items = [make_item("one", seconds=3), make_item("two", seconds=4)]

    build_missing(cache, lambda: items, events.append)

    match events:
        case [
            Building("one", 0, 2, _, left_first),
            Built("one", 1, 2, _),
            Building("two", 1, 2, _, left_second),
            Built("two", 2, 2, _),
        ]:
            assert left_first == pytest.approx(7, abs=0.1)
            assert left_second == pytest.approx(4, abs=0.1)
        case _:
            pytest.fail(str(events))


def test_what_is_complete_is_not_built_again(cache: Cache) -> None:
    """A second build does nothing at all, and needs no lock."""
    items = [make_item("one")]
    build_missing(cache, lambda: items, lambda event: None)
    events: list[BuildEvent] = []

    with cache.lock():
        build_missing(cache, lambda: items, events.append)

    assert events == []


def test_a_failure_keeps_what_was_built_before_it_and_the_next_build_goes_on(cache: Cache) -> None:
    """Only the item that failed is made again."""
    made: list[str] = []
    broken = [True]

    def make(shop: Workshop, target: Path) -> None:
        made.append(shop.name)
        if shop.name == "two" and broken[0]:
            raise CommandFailed("broken")

    items = [make_item("one", make), make_item("two", make)]

    with pytest.raises(CommandFailed):
        build_missing(cache, lambda: items, lambda event: None)
    broken[0] = False
    build_missing(cache, lambda: items, lambda event: None)

    assert made == ["one", "two", "two"]


def test_a_full_disk_is_an_error_that_says_what_to_do(cache: Cache) -> None:
    """What the operating system refuses names the item, and leaves none."""

    def make(shop: Workshop, target: Path) -> None:
        raise OSError(28, "No space left on device")

    item = make_item("one", make)

    with pytest.raises(CommandFailed, match=r"one could not be built.*No space left") as error:
        build_missing(cache, lambda: [item], lambda event: None)

    assert "again" in error.value.resolution
    assert not cache.has(item.key)


def test_what_is_known_only_later_takes_its_place_when_it_is_known(cache: Cache) -> None:
    """The plan is asked again after each item."""
    first, second = make_item("programs"), make_item("etcd")
    events: list[BuildEvent] = []

    def wanted() -> list[Item | Later]:
        return [first, second if first.complete(cache) else Later("etcd for programs", 5)]

    build_missing(cache, wanted, events.append)

    assert [event.item for event in events if isinstance(event, Built)] == ["programs", "etcd"]


def test_an_item_kept_elsewhere_is_made_until_it_is_there(cache: Cache, tmp_path: Path) -> None:
    """Such an item is not looked for in the cache."""
    place = tmp_path / "elsewhere"

    def make(shop: Workshop, target: Path) -> None:
        place.touch()

    item = Item("push", (), make, is_there=lambda cache: place.exists(), gigabytes=0)

    build_missing(cache, lambda: [item], lambda event: None)

    assert item.complete(cache)
    assert not cache.has(item.key)


def test_recorded_durations_replace_the_estimates(cache: Cache) -> None:
    """The forecast learns from what it took on this machine."""
    cache.root.mkdir(exist_ok=True)
    cache.record("one", 60)
    events: list[BuildEvent] = []

    build_missing(cache, lambda: [make_item("one", seconds=3)], events.append)

    assert isinstance(events[0], Building)
    assert events[0].expected_left == pytest.approx(60, abs=0.1)


def test_progress_is_told_about_every_two_seconds(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a tool is looked at, its progress is told every two seconds."""
    now = [0.0]
    monkeypatch.setattr(building, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def make(shop: Workshop, target: Path) -> None:
        for _ in range(50):
            now[0] += 0.1
            shop.tick()

    events: list[BuildEvent] = []
    build_missing(cache, lambda: [make_item("one", make, seconds=10)], events.append)

    told = [(round(event.elapsed), round(event.expected_left)) for event in events if isinstance(event, Building)]
    assert told == [(0, 10), (2, 8), (4, 6)]


@pytest.mark.parametrize(
    ("estimates", "elapsed", "left"),
    [((), 5, 0), ((10,), 4, 6), ((10,), 14, 0), ((10, 5), 14, 5), ((10, 5, 1), 2, 14)],
)
def test_the_time_left_is_the_rest_of_this_item_and_all_of_the_others(
    estimates: tuple[float, ...], elapsed: float, left: float
) -> None:
    """An item that takes longer than expected counts as nearly done, not as negative."""
    assert expected_left(estimates, elapsed) == left


def test_a_note_is_told_when_the_item_is_built_and_each_time_after_that(cache: Cache) -> None:
    """A version other than the one asked for is never used silently."""

    def make(shop: Workshop, target: Path) -> None:
        (target / "note").write_text("contains 1.2\n")
        shop.note("contains 1.2")

    items, first, second = [make_item("one", make)], list[BuildEvent](), list[BuildEvent]()

    build_missing(cache, lambda: items, first.append)
    build_missing(cache, lambda: items, second.append)

    assert Noted("one", "contains 1.2") in first
    assert second == [Noted("one", "contains 1.2")]


def test_a_missing_tool_is_refused_with_its_debian_package(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be finished is not started."""
    cache.root.mkdir(exist_ok=True)
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "gpg" else tool)
    item = Item("key", (), leave_a_file, tools=("gpg",), gigabytes=0)

    with pytest.raises(Refused, match="gpg") as refused:
        check_machine(cache, [item])

    assert refused.value.resolution == "apt-get install gnupg"


def test_too_little_disk_space_is_refused_with_both_numbers(cache: Cache) -> None:
    """The refusal says what is needed and where."""
    cache.root.mkdir(exist_ok=True)
    item = Item("big", (), leave_a_file, gigabytes=1e9)

    with pytest.raises(Refused, match=r"needs 1000000000 GB .* GB are free"):
        check_machine(cache, [item])


def test_building_without_root_is_refused(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root file systems need root."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(Refused, match="root"):
        check_machine(cache, [make_item("one")])


@pytest.mark.parametrize("call", [public.missing, lambda versions: public.build(versions, lambda event: None)])
def test_a_version_that_cannot_be_built_is_an_input_error(call: Callable[[list[str]], object]) -> None:
    """The error names the versions that can be built."""
    with pytest.raises(InputError, match=r"Kubernetes 1\.99\.0") as error:
        call(["1.99.0"])

    assert all(version in error.value.resolution for version in public.VERSIONS)


def test_every_tool_that_an_item_names_has_a_debian_package() -> None:
    """A refusal can always say what to install."""
    items = [item for item in plan(Cache(Path("/nonexistent")), public.VERSIONS) if isinstance(item, Item)]
    tools = {tool for item in items for tool in item.tools} - {"go"}

    assert "mmdebstrap" in tools
    assert tools <= set(building.DEBIAN_PACKAGES)
