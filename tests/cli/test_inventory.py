"""``clusterctl inventory``, and the inventory that the repository shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from clusterctl.model.inventory import Inventory, load_inventory
from tests.cli.conftest import Call, lines

ROOT = Path(__file__).parents[2]


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of the model, as docs/inventory.md writes it, that holds a value."""
    for name, info in model.model_fields.items():
        below = list(_models_in(info.annotation))
        here = f"{path}.{name}".removeprefix(".")
        if not below or any(suffix for _, suffix in below):
            yield here, info
        for found, suffix in below:
            yield from keys(found, here + suffix)


def _models_in(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """The models in an annotation, and how a path goes on to each."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ""
        return
    suffix = {dict: ".NAME", tuple: "[]"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        for found, more in _models_in(argument):
            yield found, suffix + more


def _keys() -> dict[str, FieldInfo]:
    """All keys; of one that several network plugins have, as the default plugin has it."""
    found: dict[str, FieldInfo] = {}
    for key, info in keys(Inventory):
        found.setdefault(key, info)
    return found


KEYS = {key: info for key, info in _keys().items() if key != "hosts"}


def test_check_sums_up_a_good_inventory(call: Call) -> None:
    """A short summary, and 0."""
    result = call("inventory", "check")

    assert result.exit_code == 0
    assert lines(result)[0] == "inventory.yaml: no mistakes"
    assert "  cluster demo, Kubernetes 1.36.3, endpoint 192.0.2.11:6443" in lines(result)
    assert "  w1   worker         root@192.0.2.21" in lines(result)


def test_check_writes_json(call: Call) -> None:
    """The inventory with its defaults."""
    read = json.loads(call("inventory", "check", "--json").stdout)

    assert read["cluster"]["pod_cidr"] == "10.10.0.0/16"
    assert [host["name"] for host in read["hosts"]] == ["cp1", "w1", "w2"]


def test_check_names_all_mistakes(call: Call, tmp_path: Path) -> None:
    """Each with its line and path; nothing on standard output; 2."""
    (tmp_path / "bad.yaml").write_text("cluster: {name: demo, kubernets: 1.36.3, endpoint: x:6443}\nhosts: []\n")

    result = call("inventory", "check", "-i", "bad.yaml")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "bad.yaml:1: cluster.kubernets: unknown key; did you mean 'kubernetes'?" in result.stderr
    assert "bad.yaml:1: cluster.kubernetes: is missing" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-i", "other.yaml", "inventory", "check"),
        ("inventory", "-i", "other.yaml", "check"),
        ("inventory", "check", "-i", "other.yaml"),
        ("-i", "inventory.yaml", "inventory", "check", "--inventory", "other.yaml"),
    ],
)
def test_the_inventory_is_named_before_or_after_the_verb(
    words: tuple[str, ...], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option nearest to the end wins, over the environment as well."""
    (tmp_path / "inventory.yaml").rename(tmp_path / "other.yaml")
    monkeypatch.setenv("CLUSTERCTL_INVENTORY", "missing.yaml")

    assert lines(call(*words))[0] == "other.yaml: no mistakes"


def test_the_environment_names_the_inventory(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$CLUSTERCTL_INVENTORY replaces inventory.yaml."""
    (tmp_path / "inventory.yaml").rename(tmp_path / "prod.yaml")
    monkeypatch.setenv("CLUSTERCTL_INVENTORY", "prod.yaml")

    assert lines(call("inventory", "check"))[0] == "prod.yaml: no mistakes"


def test_a_missing_inventory_says_how_to_begin(call: Call, tmp_path: Path) -> None:
    """The example is named."""
    (tmp_path / "inventory.yaml").unlink()

    result = call("plan", "bootstrap")

    assert result.exit_code == 2
    assert "copy inventory.example.yaml" in result.stderr


def test_the_example_is_valid() -> None:
    """One control plane and two workers."""
    inventory = load_inventory(ROOT / "inventory.example.yaml")

    assert [host.role for host in inventory.hosts] == ["control-plane", "worker", "worker"]


@pytest.mark.parametrize("key", KEYS)
def test_the_example_shows_every_key(key: str) -> None:
    """Each key of the model stands in inventory.example.yaml, if only in a comment."""
    name = key.rpartition(".")[2].removesuffix("[]")

    text = (ROOT / "inventory.example.yaml").read_text()

    assert re.search(rf"^[ #-]*{name}:", text, re.MULTILINE)


@pytest.mark.parametrize(("key", "info"), KEYS.items(), ids=KEYS)
def test_the_guide_explains_every_key_with_its_default(key: str, info: FieldInfo) -> None:
    """docs/inventory.md has a row for each key of the model, and tells the model's default."""
    rows = {}
    for line in (ROOT / "docs" / "inventory.md").read_text().splitlines():
        if match := re.match(r"\| `([^`]+)` \| (.+?) \| (.+) \|$", line):
            rows[match[1]] = (match[2], match[3])
    default, meaning = rows[key]

    assert meaning.endswith(".")
    if info.is_required():
        assert default == "required"
    elif info.default is not None:
        shown = str(info.default) if isinstance(info.default, str | Path) else json.dumps(info.default)
        assert default == f"`{shown}`"
