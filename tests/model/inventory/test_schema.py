"""The JSON Schema of the inventory accepts what the model accepts, and finds misspelt keys."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from clusterctl.model.inventory.schema import inventory_schema

EXAMPLE = Path(__file__).parents[3] / "inventory.example.yaml"


@pytest.fixture
def validator() -> Draft202012Validator:
    """A validator of inventories."""
    Draft202012Validator.check_schema(inventory_schema())
    return Draft202012Validator(inventory_schema())


@pytest.fixture
def example() -> dict[str, Any]:
    """The example as data."""
    data = yaml.safe_load(EXAMPLE.read_text())
    assert isinstance(data, dict)
    return data


def test_the_example_is_valid(validator: Draft202012Validator, example: dict[str, Any]) -> None:
    """What we tell people to copy passes."""
    assert [error.message for error in validator.iter_errors(example)] == []


def test_a_misspelt_key_and_an_unknown_role_are_found(validator: Draft202012Validator, example: dict[str, Any]) -> None:
    """An editor underlines both."""
    example["cluster"]["kubernets"] = "1.36.3"
    example["hosts"][0]["role"] = "master"

    places = {error.json_path for error in validator.iter_errors(example)}

    assert places == {"$.cluster", "$.hosts[0].role"}
